"""The words of the lab: each term in plain words, how it is computed, how to read it, what it cannot say.

One place feeds tooltips, table headings and reports; a test holds that every column of every analysis has its term.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Term:
    """A term: `plain` is its label, `name` the technical name, `what` one or two sentences for a tooltip."""

    plain: str
    what: str
    name: str = ""
    unit: str = ""


TERMS: dict[str, Term] = {
    "conv": Term(
        plain="Conv", name="convolution", what="Mixes each position with its neighbours, with the same learned weights everywhere."
    ),
    "msa": Term(plain="MSA", name="multi-head self-attention", what="Mixes positions with weights computed from the image itself."),
    "mlp": Term(plain="MLP", name="multi-layer perceptron", what="Mixes the channels of each position alone; positions do not meet."),
    "mix": Term(
        plain="Mix", name="learned spatial mixing", what="Mixes all positions with learned weights that do not depend on the image."
    ),
    "pool": Term(plain="Pool", name="average pooling", what="A fixed blur over 3×3 positions; it holds nothing learned."),
    "merge": Term(
        plain="Merge", name="patch merging", what="Joins 2×2 positions into one. It has no residual branch and cannot be switched off."
    ),
    "unit": Term(plain="unit", what="One residual branch of a net: s2u3 is stage 2, unit 3; stem is what comes before the first."),
    "stage": Term(plain="stage", what="The units that work at one map size."),
    "index": Term(plain="unit in its stage", what="The place of a unit in its stage, from 1."),
    "position": Term(plain="place", what="The place of a unit in the whole net, from 1; 0 is the stem."),
    "kind": Term(plain="kind", what="What a unit is: conv, msa, mlp, mix, pool or merge."),
    "form": Term(plain="form", what="The build or reach of a unit: basic, bottleneck or depthwise; global, windowed, shifted or local."),
    "letter": Term(plain="letter", what="The unit's letter in the notation."),
    "depth": Term(plain="depth", what="Where a unit stands between the stem (0) and the last unit (1)."),
    "resampling": Term(
        plain="changes resolution",
        what="The unit changes the size of the map or its channels. It is hatched, and left out of means over a kind of unit.",
    ),
    "side": Term(plain="map side", unit="positions", what="Height and width of the map."),
    "layer": Term(plain="layer", what="The layer inside the unit that was measured; empty where the unit's own output was."),
    "sample": Term(plain="sample", what="The place on the diagonal of the spectrum, from zero frequency up."),
    "frequency": Term(
        plain="frequency", unit="π", what="How fine a pattern is: 0 is the mean of the map, 1π the finest checkerboard that a map can hold."
    ),
    "highest frequency": Term(plain="highest frequency", what="The finest sample of this map's diagonal: 2k/h · π for a map of side h."),
    "delta_log_amplitude": Term(
        plain="fine detail against the mean",
        name="Δ log amplitude",
        unit="ln",
        what="The log amplitude at a frequency minus that at zero frequency, for the same map. Lower means smoother. "
        "It is relative to the map's own mean, so levels of two nets do not compare, steps do.",
    ),
    "change": Term(
        plain="change made by the unit",
        unit="ln",
        what="Δ log amplitude after the unit minus before it. Negative blurs, positive sharpens.",
    ),
    "variance": Term(
        plain="contrast over the picture",
        name="variance of feature maps",
        what="How much a channel's values differ between positions, mean over channels and images. 0 means the same value everywhere.",
    ),
    "variance_ratio": Term(
        plain="variance, out against in",
        unit="out / in",
        what="Variance after the unit over that before it. Below 1 the unit evens the picture out, above 1 it gives contrast.",
    ),
    "cka": Term(
        plain="likeness of two layers",
        name="linear CKA, unbiased",
        what="How far two layers find the same images alike: 1 the same, 0 nothing in common. Turning or scaling channels changes nothing.",
    ),
    "head": Term(plain="head", what="One of the sets of weights that an MSA unit looks with, from 1; 0 is the mean of all of them."),
    "attention_distance": Term(
        plain="how far attention looks",
        name="mean attention distance",
        unit="pixels",
        what="How far away a position gathers from, weighted by attention, mean over positions. Weights are not influence.",
    ),
    "attention_uniform": Term(
        plain="if all within reach were alike",
        what="What the unit would have if each position looked alike at everything it can see: the reach it was built with, no choice.",
    ),
    "attention_entropy": Term(
        plain="how widely attention looks",
        name="attention entropy",
        unit="nat",
        what="How evenly a position spreads its attention, mean over positions: 0 for one place, ln N for N places alike.",
    ),
    "cls_share": Term(plain="share to CLS", what="How much of a patch's attention goes to the CLS token, mean over patches."),
    "receptive_radius": Term(
        plain="radius that a unit sees",
        name="radius of the effective receptive field",
        unit="pixels",
        what="The circle around a central position of the unit's map that holds half of its gradient with respect to the picture.",
    ),
    "receptive_uniform": Term(
        plain="if all pixels counted alike",
        unit="pixels",
        what="The radius of a unit that answers to every pixel of the picture alike.",
    ),
    "receptive_share": Term(
        plain="share of the picture that counts",
        name="effective receptive field",
        what="The share of pixels whose gradient is above 5 % of the largest.",
    ),
    "receptive_support": Term(
        plain="share of the picture in reach",
        name="theoretical receptive field",
        what="The share of pixels that have any gradient at all.",
    ),
    "class": Term(plain="class", what="What the images show; empty where all classes are meant."),
    "clean": Term(plain="test accuracy of the whole net", unit="%", what="The share of the same images that the whole net gets right."),
    "accuracy_change": Term(
        plain="change of accuracy",
        name="paired difference of accuracy",
        unit="points",
        what="Accuracy with the unit off minus that of the whole net, on the same images. Negative: the unit was needed.",
    ),
    "lost": Term(plain="turned wrong", unit="images", what="Images that the whole net gets right and the net with the unit off does not."),
    "gained": Term(plain="turned right", unit="images", what="Images that only the net with the unit off gets right."),
    "mcnemar": Term(
        plain="how likely by chance",
        name="exact McNemar test, two-sided p",
        what="How often chance alone would turn images as unequally, if wrong and right were equally likely. Small: not chance.",
    ),
    "nll_change": Term(
        plain="change of the test loss",
        name="paired difference of negative log likelihood",
        unit="nat",
        what="Test loss with the unit off minus that of the whole net, mean over the same images. Positive: the unit was needed.",
    ),
    "units_off": Term(plain="units off", what="How many residual units are switched off at once."),
    "draw": Term(plain="draw", what="Which of several random choices it is, from 1."),
    "units": Term(plain="units", what="The units that are meant, by their ids."),
    "interval": Term(
        plain="95 % interval", what="Where the true value lies with 95 % confidence; the foot line says over what it was drawn."
    ),
    "images": Term(plain="images", what="How many test images were used."),
    "seed": Term(plain="seed", what="The number that chance was started from; the same seed draws the same images and the same weights."),
    "accuracy": Term(plain="test accuracy", unit="%", what="The share of test images whose most likely class is the right one."),
    "nll": Term(
        plain="test loss",
        name="negative log likelihood",
        what="Minus the log of the probability given to the right class, mean over test images.",
    ),
    "ece": Term(
        plain="calibration error",
        name="expected calibration error",
        unit="%",
        what="How far the stated confidence lies from the share that is right, mean over 15 bins of confidence.",
    ),
    "train_loss": Term(
        plain="training loss, as optimised",
        what="The loss that training lowers, on augmented images and softened labels; not comparable to the test loss.",
    ),
    "epoch": Term(plain="epoch", what="One pass over the training images."),
    "parameters": Term(plain="weights", name="parameters", unit="M", what="How many numbers training sets."),
    "flops": Term(
        plain="work per image", name="FLOP", unit="MFLOP", what="Floating-point operations of one forward pass, two for each multiply-add."
    ),
    "build-up rule": Term(
        plain="build-up rule",
        what="How AlterNet is made from a ResNet: replace convs by MSA at every second place from the end of the last stage, "
        "then in the stage before.",
    ),
    "plane": Term(plain="plane", what="Which pair of directions the weights are moved along; 0 is the one drawn as a surface."),
    "step": Term(
        plain="step", name="coordinate along a direction",
        what="How far the weights are moved. Along a random direction 1 moves each filter by its own length; along an eigenvector by 1; "
        "between two nets 0 is one, 1 the other.",
    ),
    "rise": Term(plain="rise", name="ΔNLL", unit="nat", what="How much higher the loss is than at the trained weights."),
    "diverged": Term(plain="diverged", what="The loss there is no number. Such a point is counted and never drawn as a height."),
    "l2_norm": Term(
        plain="L2 part, not squared", name="weight decay · Σ‖w‖", unit="nat",
        what="The sum of the lengths of all weight tensors times the weight decay: what the paper's figure adds to the loss.",
    ),
    "l2_half": Term(
        plain="L2 part, half squared", name="½ · weight decay · Σ‖w‖²", unit="nat", what="The term whose gradient is weight decay."
    ),
    "batch": Term(plain="mini-batch", what="Which mini-batch of training images the loss is of."),
    "rank": Term(plain="rank", what="The place of an eigenvalue in its mini-batch by size without sign, from 1."),
    "eigenvalue": Term(
        plain="eigenvalue", name="Hessian eigenvalue",
        what="How sharply the loss of a mini-batch bends along one direction of weights. Negative: it bends down, it is not convex there.",
    ),
    "residual": Term(
        plain="residual", name="‖H·v − λ·v‖ / |λ₁|", what="How far value and direction are from being an eigenpair; 0 is exact."
    ),
    "converged": Term(
        plain="converged", what="Whether the value is exact to the tolerance, by a bound from its residual. One that is not is not shown."
    ),
    "products": Term(plain="products", name="Hessian-vector products", what="How many products with the Hessian it took."),
    "nep": Term(
        plain="share negative", name="negative max-eigenvalue proportion (NEP)", unit="%",
        what="How many of the leading eigenvalues are negative: how far the loss is from convex.",
    ),
    "ape": Term(
        plain="mean of positives", name="average of positive max eigenvalues (APE)",
        what="The mean of the leading eigenvalues that are positive: how sharp the valley is.",
    ),
    "probe": Term(plain="probe", what="Which random vector the density was seen through."),
    "node": Term(
        plain="eigenvalue", name="node of the quadrature", what="A place on the axis of eigenvalues that stands for those near it."
    ),
    "weight": Term(plain="share of eigenvalues", name="weight of the node", what="The share of all eigenvalues that a node stands for."),
    "band": Term(
        plain="frequency of the noise", name="centre of a square ring of frequencies", unit="π",
        what="Where the added noise lives: from 0.05π below to 0.05π above. No value is the images without noise.",
    ),
    "noise_rms": Term(
        plain="strength of the noise", name="root mean square (RMS)",
        what="How far a pixel is moved, on a scale from 0 (black) to 1 (white), as the root of the mean square.",
    ),
    "contrast": Term(
        plain="fine noise against broad noise", name="contrast K", unit="points",
        what="Mean change of accuracy at 0.7π to 0.9π minus that at 0.1π to 0.3π. Positive: broad noise hurts more.",
    ),
    "spoiled_nll": Term(
        plain="change of the test loss", name="paired difference of negative log likelihood", unit="nat",
        what="Test loss on the spoiled images minus that on the same images as they are. Positive: they are harder.",
    ),
    "calibration_condition": Term(plain="images", what="clean: the images as they are; otherwise the corruption that lies on them."),
    "scaled": Term(plain="temperature fitted", what="Whether the outputs were divided by the fitted temperature first."),
    "temperature": Term(
        plain="temperature",
        what="What the outputs are divided by before they become probabilities. Above 1 the net is less sure, below 1 surer.",
    ),
    "calibration_kind": Term(plain="kind of row", what="measure: one number of all images. bin: the images of one range of confidence."),
    "calibration_measure": Term(plain="measure", what="accuracy, nll, brier, ece, gap, acc90, freq90 or unc90; of a bin its accuracy."),
    "calibration_value": Term(plain="value", what="The measure’s value: a share for all but nll, in nat, and brier, from 0 to 2."),
    "calibration_n": Term(plain="images that count", what="How many images the value is taken over: those of the bin, or all."),
    "bin": Term(plain="range of confidence", what="From where (included) to where (not included, but for 1) the confidences of a bin lie."),
    "confidence": Term(plain="confidence", what="The highest probability a net gives; of a bin, its mean."),
    "brier": Term(plain="Brier score", what="Squared distance between the probabilities and the right answer, 0 to 2. Smaller is better."),
    "gap": Term(
        plain="signed gap", unit="points",
        what="Mean confidence minus accuracy. Above 0 the net is too sure, below 0 less sure than it may be.",
    ),
    "acc90": Term(plain="right when sure", name="Acc-90", unit="%", what="The share right among answers with a confidence above 90 %."),
    "freq90": Term(plain="how often sure", name="Freq-90", unit="%", what="The share of answers with a confidence above 90 %."),
    "unc90": Term(plain="unsure when wrong", name="Unc-90", unit="%", what="The share of wrong answers with a confidence of at most 90 %."),
    "corruption": Term(plain="corruption", what="How the images are spoiled: one of 15 common kinds, or of 4 extra ones."),
    "corruption_group": Term(plain="group", what="What the kind of corruption is like: noise, blur, weather or digital."),
    "corruption_extra": Term(plain="extra kind", what="One of the four kinds that no mean counts."),
    "severity": Term(plain="severity", what="How strongly the images are spoiled, 1 to 5, by the published constants of the kind."),
    "severity_table": Term(
        plain="constants", what="Which published constants the severities are: CIFAR-C’s, made for 32 pixels, or ImageNet-C’s, for 224."
    ),
    "corruption_source": Term(
        plain="images from", what="generated: spoiled here, from the seed. official: read from the published files."
    ),
    "clean_images": Term(plain="accuracy on clean images", unit="%", what="The share of the same images, not spoiled, that is right."),
    "spoiled_change": Term(
        plain="change of accuracy", name="paired difference of accuracy", unit="points",
        what="Accuracy on the spoiled images minus that on the same images as they are. Negative: they are harder.",
    ),
    "spoiled_lost": Term(plain="turned wrong", unit="images", what="Images that the net gets right as they are and wrong when spoiled."),
    "spoiled_gained": Term(plain="turned right", unit="images", what="Images that the net gets right only when they are spoiled."),
    "mce": Term(
        plain="corruption error against a baseline", name="mean corruption error (mCE)", unit="%",
        what="The net’s summed error over the severities against the baseline’s, mean over 15 kinds: 100 is as good, less is better.",
    ),
    "attack": Term(plain="attack", what="How the change is found: FGSM in one step up the loss, PGD in ten that stay within the size."),
    "attack_norm": Term(
        plain="norm", what="What the size of a change is: linf its largest value at any pixel, l2 the root of its sum of squares."
    ),
    "attack_strength": Term(plain="strength", name="ε", what="The largest size of the change, with pixels from 0 to 1; 0 is no attack."),
    "attack_ring": Term(
        plain="frequencies of the change", unit="0.01π", what="From where to where the change may have frequencies; 0 to 100 is all."
    ),
    "attack_change": Term(
        plain="change of accuracy", name="paired difference of accuracy", unit="points",
        what="Accuracy under the attack minus that on the same images as they are; an attack can only lower it.",
    ),
    "attack_lost": Term(plain="turned wrong", unit="images", what="Images that are right as they are and that the attack turns wrong."),
    "shape_share": Term(
        plain="share by shape", unit="%",
        what="Of the decisions for the class of the shape or of the texture, those for the shape, where the two disagree. 50 % is a guess.",
    ),
    "by_shape": Term(plain="by shape", unit="images", what="Decisions for the class that the shape names."),
    "by_texture": Term(plain="by texture", unit="images", what="Decisions for the class that the texture names."),
    "by_colour": Term(plain="by colour", unit="images", what="Decisions for the class that the colour names."),
    "by_none": Term(plain="by none", unit="images", what="Decisions for a class that no cue of the picture names."),
    "phase": Term(plain="phase", what="A moment of the training: start, end of warm-up, one third, two thirds, end."),
    "claim": Term(plain="claim", what="A statement of the paper that can be measured, with what would support it fixed beforehand."),
    "verdict": Term(
        plain="verdict",
        what="Supported: the 95 % interval lies on the side of the claim and the effect passes the threshold. Contradicted: it lies on the "
        "other side. Undecided: it holds no effect, or too few units, images, mini-batches or seeds were measured.",
    ),
    "claim_effect": Term(plain="effect", what="The number that a claim is judged by; its statement says of what and in which unit."),
    "claim_seeds": Term(plain="seeds", what="Nets of each kind, trained alike from different starts. A verdict on pairs takes three."),
    "notation": Term(plain="notation", what="A net as text: one letter a unit, stages parted by dashes, options after slashes."),
}


def tip(term: str) -> str:
    """The tooltip of a term: technical name and unit, then what it is.  KeyError for an unknown term."""
    found = TERMS[term]
    head = ", ".join(part for part in (found.name, f"[{found.unit}]" if found.unit else "") if part)
    return f"{head}. {found.what}" if head else found.what
