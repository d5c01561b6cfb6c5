"""The claims of "How Do Vision Transformers Work?" (Park and Kim, ICLR 2022) as data: what is asked, what the paper reports, what decides.

Sizes of the paper are read off its figures.  Thresholds are softer than those sizes, since the nets are small, and were fixed here before
the nets were measured; the numbers themselves stand as rules beside the functions that use them.
"""

from collections.abc import Callable, Sequence

from core.claims import accuracy, features, lesions, loss, noise, vary
from core.claims.claim import Claim, Missing, Part
from core.claims.nets import Shelf

_OURS = "ours: softer than the paper, for small nets; fixed before measuring"
_SIGN = "ours: the sign, as the paper gives no size"
_SEEDS = "3 seeds of each net"
_NEGATIVE = "40 mini-batches"
LOSS, LOCAL, FEATURES, STAGES, NOISE, DESIGN, TRAINING = (
    "The loss", "Locality and bias", "Feature maps", "Stages", "Noise", "The design", "Training",
)  # fmt: skip
GROUPS = (LOSS, LOCAL, FEATURES, STAGES, NOISE, DESIGN, TRAINING)


def _claim(
    id: str, group: str, title: str, statistic: str, expected: str, paper: str, threshold: str, source: str,
    parts: Callable[[Shelf], Sequence[Part | Missing]] | None, origin: str = _OURS,
) -> Claim:  # fmt: skip
    return Claim(id=id, group=group, title=title, statistic=statistic, expected=expected, paper=paper, threshold=threshold, origin=origin,
                 source=source, parts=parts)  # fmt: skip


CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        _claim(
            "L1", LOSS, "MSAs flatten the loss", "mean of positive Hessian max eigenvalues, ViT by conv net, at equal epoch and accuracy",
            "below 1", "0.08 at warm-up, then 0.27, 0.50, 0.57", f"below 0.9, 95 % below 1; 24 mini-batches, {_SEEDS}", "Fig. 1c, Fig. 4",
            loss.l1,
        ),
        _claim(
            "L2", LOSS, "The loss rises slower around a ViT", "rise of NLL at 0.4 of a step, ViT by conv net", "below 1",
            "0.67 (0.80 to 0.43 over distances)", f"below 0.9, 95 % below 1; 3 pairs of directions, {_SEEDS}", "Fig. 1a", loss.l2,
        ),
        _claim(
            "L3", LOSS, "A ViT’s loss is not convex early", "share of negative eigenvalues at warm-up, ViT minus conv net, points",
            "above 0", "9 % against 0.1 %", f"above 1 point, 95 % above 0; {_NEGATIVE}, {_SEEDS}", "Fig. 1c, Fig. 4", loss.l3,
        ),
        _claim(
            "L4", LOSS, "More data removes negatives", "share of negative eigenvalues at warm-up, few minus many images, points",
            "above 0", "34 % with 6 % of the images, 9 % with all", f"95 % above 0; {_NEGATIVE}, {_SEEDS}", "Fig. 4", vary.l4,
        ),
        _claim(
            "L5", LOSS, "Training removes negatives", "share of negative eigenvalues of a ViT, warm-up minus end, points", "above 0",
            "9 % to 3 % to under 2 %", f"95 % above 0; {_NEGATIVE}", "Fig. 4", loss.l5,
        ),
        _claim(
            "L6", LOSS, "Averaging over positions convexifies", "share of negative eigenvalues at warm-up, CLS token minus GAP, points",
            "above 0", "sign only", f"95 % above 0; {_NEGATIVE}, {_SEEDS}", "Fig. 6", vary.l6, _SIGN,
        ),
        _claim(
            "L7", LOCAL, "Locality helps", "accuracy, best local minus global MSA; negative share, global minus 5×5, points", "above 0",
            "+0.9 to +1.05 points; 7.7 % against 3.9 %", f"above 0.3 points, 95 % above 0; {_SEEDS}", "Fig. 7", accuracy.l7,
        ),
        _claim(
            "L8", LOCAL, "Stronger bias fits better", "Spearman of test error and training NLL over nets", "positive", "1.0 over 7 nets",
            "above 0.6, 95 % above 0; 4 nets", "Fig. 5a", accuracy.l8,
        ),
        _claim(
            "L9", LOCAL, "A ViT does not over-fit few images", "Spearman of training images and training NLL", "negative", "sign only",
            "below −0.6, 95 % below 0; 4 shares of the images", "Fig. 5b", accuracy.l9,
        ),
        _claim(
            "L10", LOSS, "Stages remove negatives, windows lower eigenvalues",
            "negative share, ViT minus PiT; mean of positives, Swin by ViT", "above 0; below 1", "sign only",
            f"95 % beyond no effect, both; {_SEEDS}", "Fig. C.4", vary.l10, _SIGN,
        ),
        _claim(
            "L11", LOSS, "Heads convexify and flatten", "change of log₂ mean of positives and of the negative share for twice the heads",
            "both below 0", "sign only", f"95 % below 0, both; 3 numbers of heads, {_SEEDS}", "Fig. C.5", vary.l11, _SIGN,
        ),
        _claim(
            "L12", LOSS, "Small patches: flat, but not convex",
            "change of log₂ mean of positives and of the negative share for twice the patch", "above 0; below 0", "sign only",
            f"95 % beyond 0, both; {_SEEDS}", "Fig. C.2", vary.l12, _SIGN,
        ),
        _claim(
            "L13", LOSS, "Large nets: flat early, sharp late", "mean of positives, large ViT by small, at warm-up and at the end",
            "below 1; above 1", "sign only", f"95 % beyond 1, both; {_SEEDS}", "Fig. C.7", vary.l13, _SIGN,
        ),
        _claim(
            "L14", TRAINING, "SAM helps a ViT", "accuracy with SAM minus without, points", "above 0", "cited, no size",
            f"95 % above 0; {_SEEDS}", "section 3, cited", accuracy.l14, _SIGN,
        ),
        _claim(
            "L15", LOCAL, "Data specificity matters more than reach",
            "error: S = half of static minus specific, R = half of near minus far; S − |R|", "above 0", "no size",
            f"95 % above 0; {_SEEDS} of four nets", "section 1", accuracy.l15, _SIGN,
        ),
        _claim(
            "F1", FEATURES, "MSAs blur", "mean change of Δ log amplitude at the highest frequency, MSA units beyond the first quarter",
            "below 0", "−0.101, 8 of 9", "95 % below 0, 60 % of units; 6 units or 3 seeds", "Fig. 8", features.f1,
        ),
        _claim(
            "F2", FEATURES, "MLPs and convs sharpen", "the same for MLP units; for convs that keep the resolution", "above 0",
            "MLP +0.112, 8 of 9; ResNet +0.024, 7 of 12", "95 % above 0, 60 % of units; 6 units or 3 seeds", "Fig. 8, Fig. D.2",
            features.f2,
        ),
        _claim(
            "F3", FEATURES, "Early layers do the opposite", "the same in the first quarter of depth: MSA, MLP", "above 0; below 0",
            "MSA +0.25, MLP −0.44", "95 % beyond 0, both; 6 units or 3 seeds", "Fig. 8", features.f3, _SIGN,
        ),
        _claim(
            "N1", NOISE, "Attention bears noise of high frequency",
            "K = change of accuracy at 0.7 to 0.9π minus at 0.1 to 0.3π; ViT minus conv net", "above 0", "+9.7 points (+5.7 and −4.0)",
            f"95 % above 0; photographs, worst ring 10 to 30 points, 2,000 images, {_SEEDS}", "Fig. 2b", noise.n1,
        ),
        _claim(
            "N2", NOISE, "The curves cross in the middle", "lowest frequency from which on a ViT loses no more than a conv net",
            "0.4π to 0.8π", "0.58π", f"95 % within 0.4π to 0.8π; photographs, {_SEEDS}", "Fig. 2b", noise.n2,
        ),
        _claim(
            "V1", FEATURES, "MSAs even out the variance", "geometric mean of variance out by in, MSA units", "below 1", "0.944, 12 of 12",
            "95 % below 1, 70 % of units; 6 units or 3 seeds", "Fig. 9", features.v1,
        ),
        _claim(
            "V2", FEATURES, "Convs and MLPs raise the variance", "the same for convs that keep the resolution; for MLP units", "above 1",
            "ResNet 12 of 13; MLP 1.218, 8 of 12", "95 % above 1, 60 % of units; 6 units or 3 seeds", "Fig. 9", features.v2,
        ),
        _claim(
            "V3", STAGES, "Variance grows in a stage, falls where it shrinks",
            "last unit’s variance by the stage’s largest other; out by in at the smaller map", "above 1; below 1",
            "peak at the end of stages 1 to 3; 0.79, 0.49, 0.20", "95 % beyond 1, half of the stages; 6 stages or 3 seeds",
            "Fig. 9, Fig. D.1", features.v3,
        ),
        _claim(
            "S1", STAGES, "Stages are separate small nets", "mean CKA within stages minus between", "above 0", "sign only",
            "above 0.1, 95 % above 0; 256 images", "Fig. 10a, Fig. D.3", features.s1,
        ),
        _claim(
            "S2", STAGES, "The beginning of a conv stage matters",
            "drop of the first unit minus drop of the last, mean over stages, points", "above 0", "sign only",
            "95 % above 0; 10,000 images", "Fig. 10b", lesions.s2, _SIGN,
        ),
        _claim(
            "S3", STAGES, "MLPs matter at the start, MSAs at the end of a stage",
            "drop of the first MLP, and of the last MSA, minus the others’ mean, points", "above 0, both",
            "stage 3: +0.50, +0.24; stage 2: +0.38, +1.02", "95 % above 0 and half of the stages, both; 10,000 images", "Fig. 10b",
            lesions.s3,
        ),
        _claim(
            "A1", DESIGN, "A hybrid wins on few images", "accuracy and accuracy under corruption, hybrid minus conv net, points",
            "above 0", "+1.54; +1.69", f"95 % above 0, both; at most 20 % of the images, {_SEEDS}", "Fig. 12", accuracy.a1,
        ),
        _claim(
            "A2", DESIGN, "MSAs belong at the end of a stage", "accuracy, MSAs at stage ends minus as many elsewhere, points", "above 0",
            "+0.50", f"95 % above 0; {_SEEDS}", "Fig. 12a", accuracy.a2,
        ),
        _claim(
            "A3", DESIGN, "Too many MSAs hurt", "accuracy with one MSA more in a stage minus without, points", "below 0", "−0.25, −0.33",
            f"95 % below 0; {_SEEDS}", "Fig. 12a", accuracy.a3,
        ),
        _claim(
            "A4", DESIGN, "A hybrid’s loss is flatter", "mean of positive eigenvalues at warm-up, hybrid by conv net", "below 1", "0.76",
            f"below 0.95, 95 % below 1; 24 mini-batches, {_SEEDS}", "Fig. 12c", loss.a4,
        ),
        _claim(
            "A5", DESIGN, "A hybrid wins on few and on many images", "accuracy, hybrid minus conv net, at 3 shares of the images, points",
            "above 0 at each", "+1.54 with all", f"95 % above 0 at each; {_SEEDS}", "Fig. 12", accuracy.a5,
        ),
        _claim(
            "G1", TRAINING, "Strong augmentation makes nets less sure", "mean confidence minus accuracy, points", "below 0",
            "−12.5 in a retraining by others", "95 % below 0; 10,000 images", "Fig. F.1", vary.g1,
        ),
        _claim(
            "G2", TRAINING, "Strong augmentation: flatter, not convex",
            "mean of positives, with by without; negative share, with minus without", "below 1; above 0", "sign only",
            f"95 % beyond no effect, both; {_SEEDS}", "Fig. F.2", vary.g2, _SIGN,
        ),
        _claim(
            "W1", TRAINING, "Training goes a smooth way", "turns and lengths of the way through the weights", "", "withdrawn", "",
            "Fig. 1b", None, "the authors withdrew the experiment",
        ),
    )
}  # fmt: skip

#: The claims that come first, in words that need no other: what the lab opens with.
HEADLINES = {
    "L2": "Attention flattens the loss", "L3": "Attention makes the loss non-convex early", "F1": "Attention blurs features",
    "V1": "Attention evens out the variance", "N1": "Attention bears noise of high frequency",
    "A2": "Attention belongs at the end of a stage", "F2": "MLPs and convolutions sharpen features",
    "A1": "A hybrid wins on few images",
}  # fmt: skip

#: What the paper reports, as numbers, where a number compares with a statement's: by claim and by how the statement's title begins
#: ("" is any), in its unit.  They are those of the texts above; shares of two nets are subtracted.
SIZES: dict[str, dict[str, float]] = {
    "L1": {"end of warm-up": 0.08, "a third": 0.27, "two thirds": 0.50, "end of training": 0.57}, "L2": {"end": 0.67},
    "L3": {"end of warm-up": 9 - 0.1}, "L4": {"": 34.0 - 9}, "L8": {"": 1.0}, "F1": {"": -0.101}, "F2": {"MLP": 0.112, "Conv": 0.024},
    "N1": {"": 9.7}, "N2": {"": 0.58}, "V1": {"": 0.944}, "V2": {"MLP": 1.218}, "A1": {"accuracy with": 1.54, "accuracy under": 1.69},
    "A2": {"": 0.50}, "A4": {"end of warm-up": 0.76}, "A5": {"100 %": 1.54},
}  # fmt: skip


def size(claim_id: str, statement: str) -> float | None:
    """What the paper reports for a statement of a claim, in its unit; None where no number of it compares."""
    held = SIZES.get(claim_id, {})
    return next((held[begin] for begin in sorted(held, key=len, reverse=True) if statement.startswith(begin)), None)


_CURVED = {"view": "spectrum"}
#: Where a claim's evidence is shown: the page, and what its address carries.  What the page would leave out again may not stand there, or
#: the browser's Back leads nowhere.
PAGES = {
    **dict.fromkeys(("L1", "L10", "L11", "L12", "L13", "L3", "L4", "L6", "A4", "G2"), ("curvature", {"phase": "warmup", **_CURVED})),
    "L5": ("curvature", {"phase": "end", **_CURVED}), "L2": ("landscape", {}),
    **dict.fromkeys(("F1", "F2", "F3"), ("frequency", {})),
    **dict.fromkeys(("V1", "V2", "V3"), ("features", {"show": "variance"})), "S1": ("features", {"show": "cka"}),
    **dict.fromkeys(("S2", "S3"), ("lesion", {})),
    **dict.fromkeys(("N1", "N2"), ("robustness", {"show": "band_noise"})),
    "G1": ("robustness", {"show": "calibration"}),
    **dict.fromkeys(("L8", "L9", "L15"), ("compare", {"of": "all"})),  # over all nets, so all stand side by side
}  # fmt: skip


def page(claim_id: str) -> tuple[str, dict[str, str]]:
    """The page that shows a claim's evidence and what its address carries; nets side by side where it is about how well they do."""
    return PAGES.get(claim_id, ("compare", {"of": "accuracy"}))
