"""Numbers as a reader expects them: one way to write a percentage, a duration, a signed change."""

import re
from collections.abc import Sequence
from html import escape

MINUS = "−"
NOTHING = "–"


def plain(value: float, digits: int = 2) -> str:
    """A number with a real minus sign and a fixed count of decimals."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """As `plain`, with + before positive numbers."""
    text = plain(value, digits)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def percent(share: float, digits: int = 1) -> str:
    """0.906 -> `90.6 %`."""
    return f"{plain(100 * share, digits)} %"


def count(number: int) -> str:
    """20000 -> `20,000`."""
    return f"{number:,}".replace("-", MINUS)


def millions(number: float) -> str:
    """A parameter count in millions: 541344 -> `0.54 M`."""
    return f"{plain(number / 1e6, 2 if abs(number) < 1e7 else 1)} M"


def mflop(flops: float) -> str:
    """Floating-point operations in millions, without the unit: 38.2e6 -> `38`."""
    value = flops / 1e6
    return plain(value, 1) if value < 10 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Rounded to what a reader plans with: `40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def some(number: int, noun: str, plural: str = "") -> str:
    """A count with its noun: `1 unit`, `15 units`."""
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def seq(parts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    items = list(parts)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}" if items else ""


def rich(text: str) -> str:
    """A sentence as HTML: **words** become bold, all else is escaped, a number stays with its percent sign."""
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", re.sub(r"(\d) %", "\\1\u00a0%", escape(text)))
