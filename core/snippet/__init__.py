"""A net as a program of its own: PyTorch alone, or timm where timm has the same net.  Text only, no torch."""

from core.snippet.plain import plain
from core.snippet.with_timm import with_timm

__all__ = ["plain", "with_timm"]
