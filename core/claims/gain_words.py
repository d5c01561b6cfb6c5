"""What a difference of two nets says: one sentence with its interval and its price, numbers as they stand in a table."""

from __future__ import annotations

from core import words
from core.claims.gains import Gain
from core.claims.nets import Net


def sentence(gain: Gain, one: str, other: str, price: str = "") -> str:
    """`B is 0.1 points less accurate than A (95 % −0.4 to 0.3, **not clear**) with 26 % fewer parameters.`; "" without a difference.

    `one` is A and `other` is B; ** marks the key words.
    """
    effect = gain.effect
    if effect is None or effect.value != effect.value:
        return ""
    limits = f"95 % {limited(gain)}{'' if gain.clear else ', **not clear**'}" if effect.low == effect.low else "no interval"
    mark = "**" if gain.clear else ""
    after = f" with {price}" if price else ""
    if gain.measure == "cka":
        return f"The last units of {one} and {other} see alike to **{number(effect.value, gain)}** in CKA ({limits}){after}."
    if gain.ratio:
        return f"{other}’s {gain.noun} is {mark}×{effect.value:.2f}{mark} of {one}’s ({limits}){after}."
    size = words.plain(abs(effect.value), gain.digits)
    if gain.measure == "accuracy":
        way = "more" if effect.value > 0 else "less"
        said = f"{other} is {mark}{size} points {way} accurate{mark} than {one}"
        return f"{said if float(size) else f'{other} is as accurate as {one}'} ({limits}){after}."
    unit = {"%": " points", "": "", "ln": ""}.get(gain.unit, f" {gain.unit}")
    way = "higher" if effect.value > 0 else "lower"
    return f"{other}’s {gain.noun} is {mark}{size}{unit} {way}{mark} than {one}’s ({limits}){after}."


def limited(gain: Gain) -> str:
    """The limits of the interval: `−0.4 to 0.3`, `×0.69 to ×1.13`."""
    assert gain.effect is not None
    if gain.measure == "cka" or not gain.ratio:
        return f"{words.plain(gain.effect.low, gain.digits)} to {words.plain(gain.effect.high, gain.digits)}"
    return f"×{gain.effect.low:.2f} to ×{gain.effect.high:.2f}"


def difference(gain: Gain) -> str:
    """The difference as it stands in a table: `−3.3`, `×0.87`; a dash where there is none."""
    if gain.effect is None or gain.effect.value != gain.effect.value:
        return words.NOTHING
    if gain.ratio:
        return f"×{gain.effect.value:.2f}"
    return number(gain.effect.value, gain) if gain.measure == "cka" else words.signed(gain.effect.value, gain.digits)


def number(value: float, gain: Gain) -> str:
    """One net's number as it stands in a table."""
    if value != value:
        return words.NOTHING
    text = words.plain(value, 0 if abs(value) >= 100 and gain.unit == "" else gain.digits)
    return f"{text} %" if gain.unit == "%" else f"×{text}" if gain.unit == "×" else text


def judged(gain: Gain) -> str:
    """`not clear`, `B better`, `A better`, or, where neither is better, `B higher`; "" without a difference."""
    if gain.effect is None or gain.measure == "cka":
        return ""
    if gain.effect.low != gain.effect.low:
        return "no interval"
    if not gain.clear:
        return "not clear"
    up = gain.effect.value > (1.0 if gain.ratio else 0.0)
    if not gain.better:
        return "B higher" if up else "B lower"
    return "B better" if up == (gain.better > 0) else "A better"


def price(a: Net, b: Net) -> str:
    """`26 % fewer parameters and 23 % fewer FLOPs`: what B costs against A; "" where it is not known."""
    said = [change(a.final.get(key), b.final.get(key), name) for key, name in (("parameters", "parameters"), ("flops", "FLOPs"))]
    return words.seq([one for one in said if one])


def change(one: float | None, other: float | None, name: str) -> str:
    """`26 % fewer parameters`, `as many FLOPs`; "" where one is not known."""
    if not one or not other:
        return ""
    share = other / one - 1
    if abs(share) < 0.005:
        return f"as many {name}"
    times = other / one
    return f"{times:.1f} times the {name}" if times >= 3 else f"{abs(100 * share):.0f} % {'more' if share > 0 else 'fewer'} {name}"
