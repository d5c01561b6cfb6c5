"""The build-up rule for nets of convs and MSAs: the next place that it takes, and hints.

Replace convs by MSA alternately from the end of the last stage; then go on at the end of the stage before (the
paper's build-up rule for AlterNet).  A hint never forbids: it says what the rule would do, and offers that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.edit import attention_letter, conv_letter, refusal, set_unit
from core.spec import BLOCKS, Architecture


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A sentence about the rule and the net that follows it; `after` is None where there is nothing to do."""

    title: str
    text: str
    action: str = ""
    after: Architecture | None = None
    place: str = ""


def kinds(arch: Architecture, stage: int) -> list[str]:
    """The kinds of a stage's units (stage from 1)."""
    return [BLOCKS[letter].kind for letter in arch.stages[stage - 1].letters]


def hint(arch: Architecture, image_size: int) -> Hint | None:
    """What the build-up rule says about a net of convs and MSAs; None for nets it does not speak of."""
    held = [BLOCKS[letter].kind for letter in arch.letters]
    if "conv" not in held or set(held) - {"conv", "msa", "none", "merge"}:
        return None
    for stage in range(len(arch.stages), 0, -1):
        found = _misplaced(arch, stage)
        if found:
            index, why = found
            return _against(arch, image_size, stage, index, why)
    target = next_place(arch, image_size)
    if target is None:
        return Hint(title="By the build-up rule.", text="Every place that the rule would take is taken.")
    place = f"stage {target[0]}, unit {target[1]}"
    after = set_unit(arch, *target, attention_letter(arch, image_size, target[0]))
    if "msa" not in held:
        text = f"The rule adds attention at the end of the last stage first: {place}."
        return Hint(title="Build-up rule.", text=text, action="Put it there", after=after, place=place)
    text = f"Attention stands at the stage ends, with convs between. The next place would be {place}."
    return Hint(title="By the build-up rule.", text=text, action="Add it there", after=after, place=place)


def _misplaced(arch: Architecture, stage: int) -> tuple[int, str] | None:
    """(unit, why) of the last MSA of a stage that the rule would not have put there."""
    here, count = kinds(arch, stage), len(arch.stages)
    spots = [i for i, kind in enumerate(here, 1) if kind == "msa"]
    if not spots:
        return None
    if here[-1] != "msa":
        return spots[-1], f"stands {'in the middle' if spots[-1] > 1 else 'at the start'} of stage {stage}, which ends in a conv"
    later = [s for s in range(stage + 1, count + 1) if "msa" not in kinds(arch, s)]
    if later:
        return spots[-1], f"stands in stage {stage} while stage {later[-1]} has none"
    for left, right in pairwise(spots):
        if right == left + 1:
            return left, f"stands next to another MSA in stage {stage}"
    return None


def _against(arch: Architecture, image_size: int, stage: int, index: int, why: str) -> Hint:
    cleared = set_unit(arch, stage, index, conv_letter(arch))
    text = (
        f"The MSA at stage {stage}, unit {index} {why}. The rule adds attention at the end of the last stage first, "
        "every second place, then in the stage before."
    )
    last = len(arch.stages)
    wanted = stage if kinds(arch, stage)[-1] != "msa" else last
    target = next_place(cleared, image_size, [wanted]) or next_place(cleared, image_size)
    if target is None or target == (stage, index):
        return Hint(title="Against the build-up rule.", text=text)
    letter = attention_letter(arch, image_size, target[0])
    after = set_unit(cleared, *target, letter)
    place = f"stage {target[0]}, unit {target[1]}"
    end = target[1] == len(arch.stages[target[0] - 1].letters)
    action = "Move it to the end" if target[0] == stage and end else f"Move it to {place}"
    return Hint(title="Against the build-up rule.", text=text, action=action, after=after, place=place)


def next_place(arch: Architecture, image_size: int, stages: Sequence[int] = ()) -> tuple[int, int] | None:
    """(stage, unit) of the next conv that the rule turns into MSA, in `stages` as ordered or, from the last on, in any."""
    for number in stages or range(len(arch.stages), 0, -1):
        here, letter = kinds(arch, number), attention_letter(arch, image_size, number)
        for index in range(len(here), 1, -1):  # a stage begins with a conv
            if _alternates(here, index) and not refusal(arch, image_size, number, index, letter):
                return number, index
    return None


def _alternates(here: list[str], index: int) -> bool:
    """A conv that ends the stage, or that stands two places before the first MSA behind it, with no MSA beside it."""
    before = here[index - 2] if index > 1 else ""
    if here[index - 1] != "conv" or before == "msa":
        return False
    behind = next((i for i, kind in enumerate(here[index:], index + 1) if kind == "msa"), 0)
    return index == len(here) or behind == index + 2
