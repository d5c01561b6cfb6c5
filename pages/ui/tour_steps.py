"""The seven steps of the tour in words: where each is, what to do there, what to look for, what was seen."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stop: the page's file stem and its name in the menu, a title, one sentence to do, one to look at, and what has been done."""

    stem: str
    page: str
    title: str
    do: str
    look: str
    done: str


STEPS: tuple[Step, ...] = (
    Step(
        stem="build", page="Build", title="Flip a block", done="Flipped a block",
        do="Click a unit in the ribbon, or a card below it: convolution becomes attention, or attention convolution.",
        look="Look how the weights and the work per image change.",
    ),
    Step(
        stem="train", page="Train", title="Train it", done="Watched a training",
        do="Open a finished training, or train your own net for one epoch.",
        look="Look how steep the first epochs are, and where the curve settles.",
    ),
    Step(
        stem="frequency", page="Frequency", title="See the frequencies", done="Saw the frequencies",
        do="Click a unit in a panel: a circle is attention, a square convolution.",
        look="Look where the line falls: there a unit blurs. Where it rises, it sharpens.",
    ),
    Step(
        stem="lesion", page="Lesion", title="Switch a unit off", done="Switched a unit off",
        do="Click a unit of the net to switch it off.",
        look="Look how far the accuracy falls, and which classes fall with it.",
    ),
    Step(
        stem="landscape", page="Landscape", title="Turn the surface", done="Turned the surface",
        do="Drag a surface, or turn it with the arrow keys.",
        look="Look whose valley is wide and whose is steep: the height is the loss.",
    ),
    Step(
        stem="lens", page="Lens", title="Drag the lens", done="Dragged the lens",
        do="Drag the ring under the pictures along its line.",
        look="Look for the small triangles: there a net changes its mind.",
    ),
    Step(
        stem="scorecard", page="Scorecard", title="Read the verdict", done="Read the verdict",
        do="Press Why beside a claim.",
        look="Look whether its interval is clear of no effect, and on how many seeds it stands.",
    ),
)  # fmt: skip
