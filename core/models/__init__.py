"""Networks built from the unit algebra of `core.spec`, and the ways to look into them."""

from core.models.layers import COMING_OUT, GOING_IN, layers, probe_layers
from core.models.net import Net, build
from core.models.sweep import Kept, chunk_for, sweep
from core.models.units import HOW, Taps, Unit, lesion, probe, refusal, units

__all__ = [
    "COMING_OUT", "GOING_IN", "HOW", "Kept", "Net", "Taps", "Unit", "build", "chunk_for", "layers", "lesion", "probe", "probe_layers",
    "refusal", "sweep", "units",
]  # fmt: skip
