"""Changes to a net that keep it buildable, and what changed in words."""

from collections import Counter
from dataclasses import replace

from core import words
from core.errors import SpecError
from core.presets import PRESETS
from core.size import count
from core.spec import BLOCKS, WORDS, Architecture, Stage, check, layout, parse, write


def attention_letter(arch: Architecture, image_size: int, stage: int) -> str:
    """The form of MSA that fits a stage: the one it holds already, else windows on large maps, the whole map on small ones."""
    held = Counter(letter for letter in arch.stages[stage - 1].letters if BLOCKS[letter].kind == "msa")
    if held:
        return held.most_common(1)[0][0]
    side = next(slot.side for slot in layout(arch, image_size) if slot.stage == stage)
    window = arch.stages[stage - 1].window
    return "w" if side > 8 and side % window == 0 else "m"


def conv_letter(arch: Architecture) -> str:
    """The form of conv that the net uses most, basic where it has none."""
    held = Counter(letter for letter in arch.letters if BLOCKS[letter].kind == "conv")
    return held.most_common(1)[0][0] if held else "c"


def flip_letter(arch: Architecture, image_size: int, stage: int, index: int) -> str:
    """What one click on a unit makes of it: Conv, MSA, MLP, none in turn; what the slot refuses is passed over.

    Where nothing else is allowed, the first that is refused comes back, so that the reader is told why.
    """
    here = arch.stages[stage - 1].letters[index - 1]
    ring = [conv_letter(arch), attention_letter(arch, image_size, stage), "t", "o"]
    at = next((i for i, letter in enumerate(ring) if BLOCKS[letter].kind == BLOCKS[here].kind), -1)
    order = [ring[(at + step) % 4] for step in (1, 2, 3)]
    return next((letter for letter in order if not refusal(arch, image_size, stage, index, letter)), order[0])


def flipped(arch: Architecture, image_size: int, stage: int, index: int) -> Architecture:
    """The net after one click on a unit.  Raises SpecError with the reason where the slot cannot take it."""
    if not (1 <= stage <= len(arch.stages) and 1 <= index <= len(arch.stages[stage - 1].letters)):
        raise SpecError(f"There is no stage {stage}, unit {index} in {arch.stages_text()}.")
    letter = flip_letter(arch, image_size, stage, index)
    if why := refusal(arch, image_size, stage, index, letter):
        raise SpecError(why)
    return set_unit(arch, stage, index, letter)


def resized(arch: Architecture, stage: int, depth: int) -> Architecture:
    """A stage with another number of units: cut at its end, or continued in its own rhythm.  Raises SpecError."""
    old = arch.stages[stage - 1]
    if not 1 <= depth <= 64:
        raise SpecError(f"Stage {stage} would have {depth} units; it should be from 1 to 64.")
    letters = old.letters[:depth]
    while len(letters) < depth:
        repeats = len(letters) < 2 or letters[-1] == letters[-2]
        nxt = letters[-1] if repeats else letters[-2]
        letters += conv_letter(arch) if nxt == "g" else nxt
    return with_stage(arch, stage, letters=letters)


def with_stage(arch: Architecture, stage: int, **values: int | str) -> Architecture:
    """The net with other letters, width, heads, window or kernel in one stage.  Raises SpecError."""
    new: Stage = replace(arch.stages[stage - 1], **values)
    return checked(replace(arch, stages=(*arch.stages[: stage - 1], new, *arch.stages[stage:])))


def with_option(arch: Architecture, **values: object) -> Architecture:
    """The net with another stem, head, position form, MSA form, ….  Raises SpecError."""
    return checked(replace(arch, **values))


def checked(arch: Architecture) -> Architecture:
    """The same net through its own notation: everything the parser would refuse is refused here too."""
    return parse(write(arch))


def changed(arch: Architecture, base: Architecture) -> list[tuple[int, int]] | None:
    """(stage, unit) of all units that differ from a base net; None if the two have other stages or depths."""
    if [len(s.letters) for s in arch.stages] != [len(s.letters) for s in base.stages]:
        return None
    pairs = zip(arch.stages, base.stages, strict=True)
    return [(i, j) for i, (a, b) in enumerate(pairs, 1) for j, (x, y) in enumerate(zip(a.letters, b.letters, strict=True), 1) if x != y]


def nearest_preset(arch: Architecture, among: tuple[str, ...] = tuple(PRESETS)) -> str:
    """The id of the preset with the same stages from which the fewest units and settings differ; "" if none has the same stages."""
    best, name = None, ""
    for preset in among:
        base = parse(PRESETS[preset].notation)
        units = changed(arch, base)
        if units is not None:
            # stem and form first: a ResNet with one MSA is nearer to ResNet than to a ViT of the same depth
            distance = (arch.stem != base.stem, len(units), arch.notation != base.notation)
            if best is None or distance < best:
                best, name = distance, preset
    return name


_TIMES = {0: "no longer attends", 1: "now attends once", 2: "now attends twice", 3: "now attends three times"}


def difference(arch: Architecture, base: Architecture, title: str) -> str:
    """The change against a base net in one sentence; **…** marks the key words."""
    units = changed(arch, base)
    msas = sum(BLOCKS[letter].kind == "msa" for letter in arch.letters)
    held = f"{words.some(len(arch.letters), 'unit')}, {msas or 'none'} of them attention"
    if units is None:
        stages = words.some(len(arch.stages), "stage")
        return f"Your net has **{words.some(len(arch.letters), 'unit')}** in {stages}, {msas or 'none'} of them attention."
    if not units:
        if arch.notation == base.notation:
            return f"This is **{title}**: {held}. Change one and see what it costs."
        return f"These are the units of {title} with **other settings**: {held}."
    told = []
    for number, (new, old) in enumerate(zip(arch.stages, base.stages, strict=True), 1):
        now, before = (sum(BLOCKS[letter].kind == "msa" for letter in stage.letters) for stage in (new, old))
        if now != before:
            told.append(f"stage {number} {_TIMES.get(now, f'now attends {now} times')}")
    if not told:
        told = [f"stage {i}, unit {j} is now {WORDS[arch.stages[i - 1].letters[j - 1]]}" for i, j in units[:2]]
        told += [f"{len(units) - 2} more"] if len(units) > 2 else []
    return f"You changed **{len(units)} of {words.some(len(arch.letters), 'unit')}** of {title}: {words.seq(told)}."


def set_unit(arch: Architecture, stage: int, index: int, letter: str) -> Architecture:
    """The same net with one unit (numbers from 1) changed to `letter`; SpecError if the slot cannot take it."""
    if letter not in BLOCKS:
        raise SpecError(f"{letter!r} is no kind of unit.")
    if not (1 <= stage <= len(arch.stages) and 1 <= index <= len(arch.stages[stage - 1].letters)):
        raise SpecError(f"There is no stage {stage}, unit {index} in {arch.stages_text()}.")
    old = arch.stages[stage - 1]
    letters = old.letters[: index - 1] + letter + old.letters[index:]
    changed = replace(arch, stages=(*arch.stages[: stage - 1], replace(old, letters=letters), *arch.stages[stage:]))
    check(changed)
    return changed


def refusal(arch: Architecture, image_size: int, stage: int, index: int, letter: str) -> str:
    """Why a slot cannot hold a letter, in words; "" where it can."""
    try:
        count(set_unit(arch, stage, index, letter), image_size, 10)
    except SpecError as error:
        return str(error)
    return ""


def choices(arch: Architecture, image_size: int, stage: int, index: int) -> dict[str, str]:
    """What a slot may hold: letter -> "" where allowed, else the reason in words."""
    return {letter: refusal(arch, image_size, stage, index, letter) for letter in BLOCKS}
