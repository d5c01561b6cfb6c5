"""A conv net with equally many MSAs at the end, in the middle or at the start of its stages; and with one more at the end.

The paper: the end of a stage is the place for MSAs, and too many of them hurt (Fig. 12a).
"""

from dataclasses import replace

from core.claims.accuracy import with_one_more
from core.presets import resolve
from core.spec import BLOCKS, parse, write
from core.studies._family import ANSWERS, Member, Setting, Study


def placed(notation: str, where: str) -> str:
    """A hybrid with the MSAs of each stage moved to the first or the middle place of their share of the stage.

    n places and k MSAs make k shares of n / k; a place that changes the resolution is left to the conv, and the next one taken.
    """
    arch = parse(notation)
    stages = []
    for number, stage in enumerate(arch.stages):
        msas = [letter for letter in stage.letters if BLOCKS[letter].kind == "msa"]
        conv = next((letter for letter in stage.letters if BLOCKS[letter].kind == "conv"), "")
        letters, share = [conv] * len(stage.letters), len(stage.letters) / max(len(msas), 1)
        for i, msa in enumerate(msas):
            at = int(i * share) if where == "start" else int((i + 0.5) * share)
            while (at == 0 and number > 0) or (at < len(letters) and letters[at] != conv):
                at += 1
            letters[at] = msa
        stages.append(replace(stage, letters="".join(letters)))
    return resolve(write(replace(arch, stages=tuple(stages)))).notation


def family(setting: Setting, seed: int) -> list[Member]:
    """No MSA, then each place, then one more."""
    hybrid = setting.base("hybrid")
    archs = {
        "none": setting.base("conv"), "start": placed(hybrid, "start"), "middle": placed(hybrid, "middle"), "end": hybrid,
        "end, one more": with_one_more(parse(hybrid)),
    }  # fmt: skip
    return [Member(label=label, run=setting.run(arch, seed), asks=(ANSWERS,)) for label, arch in archs.items()]


STUDY = Study(
    id="placement", title="Where MSAs stand", question="Is the end of a stage the place for attention?", axis="MSAs in a stage",
    claims=("A2", "A3"), family=family,
)  # fmt: skip
