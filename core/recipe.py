"""How a net is trained.  Every field says where its value comes from; three named recipes."""

import dataclasses
from dataclasses import dataclass, replace

from core.errors import TrainError, unknown
from core.params import check, param

PAPER = "paper, Appendix A.1, the strong CIFAR recipe used for CNN and ViT alike"
OURS = "ours: short runs of small nets, measured on Fashion-MNIST and CIFAR-10"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train.  Defaults are the `quick` recipe; `RECIPES` holds the named ones."""

    name: str = param("quick", label="Recipe", origin=OURS, choices=("quick", "paper", "plain", "custom"))
    epochs: int = param(
        10, label="Epochs", origin=OURS, low=1, high=2000,
        help="Passes over the images; `paper` warms up before them. Warm-up takes a third of a short run at most.",
    )  # fmt: skip
    batch: int = param(128, label="Batch", origin=OURS, low=2, high=4096, unit="images")
    lr: float = param(2e-3, label="Learning rate", origin=OURS, low=1e-7, high=10.0, help="Peak of the schedule.")
    weight_decay: float = param(0.05, label="Weight decay", origin=PAPER, low=0.0, high=1.0)
    decay_all: bool = param(False, label="Decay every tensor", origin=f"{PAPER}; quick spares 1-D tensors")
    optimiser: str = param("adamw", label="Optimiser", origin=PAPER, choices=("adamw", "sgd"))
    warmup: int = param(1, label="Warm-up epochs", origin="paper, Appendix A.1 has 5 before 300", low=0, high=100, unit="epochs")
    warmup_extra: bool = param(False, label="Warm-up added before", origin="paper, Appendix A.1: 5 + 300 epochs; quick counts it within")
    clip: float = param(5.0, label="Gradient clip", origin=PAPER, low=0.0, high=1e6, help="Largest gradient norm; 0 is none.")
    smoothing: float = param(0.1, label="Label smoothing", origin=PAPER, low=0.0, high=0.9)
    pad: int = param(
        -1, label="Shift", origin="paper, Appendix A.1: pad 4 and crop; 2 on grey 28x28 sets, where 4 cuts the object",
        low=-1, high=32, unit="px", help="-1 takes the data set's own value.",
    )  # fmt: skip
    flip: bool = param(True, label="Mirror", origin=PAPER)
    randaugment: str = param("", label="RandAugment", origin=PAPER, choices=("", "rand-m9-n2-mstd1.0", "rand-m9-n2-mstd0.5"))
    mixup: float = param(0.0, label="Mixup", origin="paper, Appendix A.1: 1.0", low=0.0, high=10.0)
    cutmix: float = param(0.0, label="CutMix", origin="paper, Appendix A.1: 0.8", low=0.0, high=10.0)
    erasing: float = param(0.0, label="Random erasing", origin="paper, Appendix A.1: 0 on CIFAR, 0.25 on ImageNet", low=0.0, high=1.0)
    drop_path: float = param(0.0, label="Stochastic depth", origin="paper, Appendix A.1: 0.1, linear over depth", low=0.0, high=0.9)
    sam: float = param(
        0.0, label="SAM radius", origin="Foret et al. 2021 use 0.05; the paper cites it as smoothing",
        low=0.0, high=1.0, help="0 is off; each step costs twice as much.",
    )  # fmt: skip
    ema: float = param(0.0, label="Weight average", origin="ours: off, so that a run is one net; 0.999 is usual", low=0.0, high=0.99999)
    precision: str = param("auto", label="Precision", origin="ours: bf16 where it was measured faster", choices=("auto", "bf16", "fp32"),
                           help="auto is bf16 where the processor multiplies it in hardware.")  # fmt: skip

    def __post_init__(self) -> None:
        """Raise TrainError in words on a field out of bounds."""
        check(self, TrainError)
        if self.sam and self.optimiser == "sgd":
            raise TrainError("SAM is offered with AdamW; set sam to 0 or the optimiser to adamw.")

    @property
    def total_epochs(self) -> int:
        """Epochs really run, warm-up included."""
        return self.epochs + (self.warmup if self.warmup_extra else 0)


RECIPES: dict[str, Recipe] = {
    "quick": Recipe(),
    "paper": Recipe(
        name="paper", epochs=300, batch=96, lr=1.25e-4, decay_all=True, warmup=5, warmup_extra=True, pad=4,
        randaugment="rand-m9-n2-mstd1.0", mixup=1.0, cutmix=0.8, drop_path=0.1,
    ),
    "plain": Recipe(name="plain", smoothing=0.0, clip=0.0, pad=0, flip=False),
}  # fmt: skip


def get(name: str, **changes: object) -> Recipe:
    """A named recipe with some fields changed; TrainError lists the known names."""
    if name not in RECIPES:
        raise unknown(TrainError, "recipe", name, RECIPES)
    other = {field for field, value in changes.items() if value != getattr(RECIPES[name], field, None)} - {"epochs"}
    return replace(RECIPES[name], **{"name": "custom" if other else name, **changes})


def from_dict(values: dict) -> Recipe:
    """The recipe stored in a run; TrainError names a field that does not exist."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    if extra := set(values) - known:
        raise TrainError(f"The recipe has an unknown field {sorted(extra)[0]!r}. Known: {', '.join(sorted(known))}.")
    return Recipe(**values)
