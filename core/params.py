"""Parameters that explain themselves: a frozen dataclass whose fields carry label, bounds, unit, help and origin.

Forms, command-line options, checks and documentation are made from these fields.
"""

import dataclasses
import math
from typing import Any

from core.errors import LabError


def param(
    default: Any,
    *,
    label: str,
    origin: str,
    help: str = "",
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """A dataclass field with its explanation.  `origin` says where the default comes from."""
    meta = {"label": label, "origin": origin, "help": help, "unit": unit, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=meta)


def check(params: Any, error: type[LabError] = LabError) -> None:
    """Raise `error` in words if a field has the wrong type, leaves its bounds or is none of its choices."""
    for field in dataclasses.fields(params):
        value, meta = getattr(params, field.name), field.metadata
        wanted = type(field.default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
            object.__setattr__(params, field.name, value)
        if type(value) is not wanted:
            raise error(f"{field.name} is {value!r}; it should be of type {wanted.__name__}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise error(f"{field.name} is {value}; it should be a finite number.")
        if meta.get("choices") and value not in meta["choices"]:
            raise error(f"{field.name} is {value!r}; it should be one of {', '.join(map(str, meta['choices']))}.")
        low, high = meta.get("low"), meta.get("high")
        if low is not None and value < low:
            raise error(f"{field.name} is {value}; it should be at least {low}.")
        if high is not None and value > high:
            raise error(f"{field.name} is {value}; it should be at most {high}.")


def parse(cls: type, settings: dict[str, str], error: type[LabError] = LabError) -> Any:
    """An instance of `cls` from `name=value` texts, as they come from a command line or a URL."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name not in fields:
            raise error(f"There is no setting {name[:40]!r}. Known: {', '.join(fields)}.")
        wanted = type(fields[name].default)
        try:
            values[name] = {"true": True, "false": False}[text.lower()] if wanted is bool else wanted(text)
        except (ValueError, KeyError):
            raise error(f"{name} is {text[:40]!r}; it should be of type {wanted.__name__}.") from None
    return cls(**values)
