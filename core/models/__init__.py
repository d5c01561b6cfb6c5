"""Networks built from the unit algebra of `core.spec`, and the two ways to look into them."""

from core.models.net import Net, build
from core.models.units import Taps, Unit, lesion, probe, units

__all__ = ["Net", "Taps", "Unit", "build", "lesion", "probe", "units"]
