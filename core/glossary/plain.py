"""The words of the lab that are no measures: what they mean is all there is to say."""

from core.glossary.term import Term

PLAIN: dict[str, Term] = {
    "conv": Term(
        plain="Conv", name="convolution",
        what="Mixes each position with its neighbours, with the same learned weights everywhere.",
    ),
    "msa": Term(plain="MSA", name="multi-head self-attention", what="Mixes positions with weights computed from the image itself."),
    "mlp": Term(plain="MLP", name="multi-layer perceptron", what="Mixes the channels of each position alone; positions do not meet."),
    "mix": Term(
        plain="Mix", name="learned spatial mixing",
        what="Mixes all positions with learned weights that do not depend on the image.",
    ),
    "pool": Term(plain="Pool", name="average pooling", what="A fixed blur over 3×3 positions; it holds nothing learned."),
    "merge": Term(
        plain="Merge", name="patch merging",
        what="Joins 2×2 positions into one. It has no residual branch and cannot be switched off.",
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
        plain="frequency", unit="π",
        what="How fine a pattern is: 0 is the mean of the map, 1π the finest checkerboard that a map can hold.",
    ),
    "highest frequency": Term(plain="highest frequency", what="The finest sample of this map's diagonal: 2k/h · π for a map of side h."),
    "head": Term(plain="head", what="One of the sets of weights that an MSA unit looks with, from 1; 0 is the mean of all of them."),
    "attention_uniform": Term(
        plain="if all within reach were alike",
        what="What the unit would have if each position looked alike at everything it can see: the reach it was built with, no choice.",
    ),
    "receptive_uniform": Term(
        plain="if all pixels counted alike", unit="pixels",
        what="The radius of a unit that answers to every pixel of the picture alike.",
    ),
    "class": Term(plain="class", what="What the images show; empty where all classes are meant."),
    "lost": Term(
        plain="turned wrong, units off", unit="images",
        what="Images that the whole net gets right and the net with the unit off does not.",
    ),
    "gained": Term(plain="turned right, units off", unit="images", what="Images that only the net with the unit off gets right."),
    "units_off": Term(plain="units off", what="How many residual units are switched off at once."),
    "draw": Term(plain="draw", what="Which of several random choices it is, from 1."),
    "units": Term(plain="units", what="The units that are meant, by their ids."),
    "interval": Term(
        plain="95 % interval",
        what="Where the true value lies with 95 % confidence; the foot line says over what it was drawn.",
    ),
    "images": Term(plain="images", what="How many test images were used."),
    "seed": Term(plain="seed", what="The number that chance was started from; the same seed draws the same images and the same weights."),
    "epoch": Term(plain="epoch", what="One pass over the training images."),
    "build-up rule": Term(
        plain="build-up rule",
        what="How AlterNet is made from a ResNet: replace convs by MSA at every second place from the end of the last stage, then in the"
        " stage before.",
    ),
    "plane": Term(plain="plane", what="Which pair of directions the weights are moved along; 0 is the one drawn as a surface."),
    "step": Term(
        plain="step", name="coordinate along a direction",
        what="How far the weights are moved. Along a random direction 1 moves each filter by its own length; along an eigenvector by 1; "
        "between two nets 0 is one, 1 the other.",
    ),
    "diverged": Term(plain="diverged", what="The loss there is no number. Such a point is counted and never drawn as a height."),
    "batch": Term(plain="mini-batch", what="Which mini-batch of training images the loss is of."),
    "rank": Term(plain="rank", what="The place of an eigenvalue in its mini-batch by size without sign, from 1."),
    "converged": Term(
        plain="converged",
        what="Whether the value is exact to the tolerance, by a bound from its residual. One that is not is not shown.",
    ),
    "products": Term(plain="products", name="Hessian-vector products", what="How many products with the Hessian it took."),
    "probe": Term(plain="probe", what="Which random vector the density was seen through."),
    "node": Term(
        plain="eigenvalue", name="node of the quadrature",
        what="A place on the axis of eigenvalues that stands for those near it.",
    ),
    "band": Term(
        plain="frequency of the noise", name="centre of a square ring of frequencies", unit="π",
        what="Where the added noise lives: from 0.05π below to 0.05π above. No value is the images without noise.",
    ),
    "noise_rms": Term(
        plain="strength of the noise", name="root mean square (RMS)",
        what="How far a pixel is moved, on a scale from 0 (black) to 1 (white), as the root of the mean square.",
    ),
    "calibration_condition": Term(plain="images", what="clean: the images as they are; otherwise the corruption that lies on them."),
    "scaled": Term(plain="temperature fitted", what="Whether the outputs were divided by the fitted temperature first."),
    "calibration_kind": Term(plain="kind of row", what="measure: one number of all images. bin: the images of one range of confidence."),
    "calibration_measure": Term(plain="measure", what="accuracy, nll, brier, ece, gap, acc90, freq90 or unc90; of a bin its accuracy."),
    "calibration_value": Term(plain="value", what="The measure’s value: a share for all but nll, in nat, and brier, from 0 to 2."),
    "calibration_n": Term(plain="images that count", what="How many images the value is taken over: those of the bin, or all."),
    "bin": Term(plain="range of confidence", what="From where (included) to where (not included, but for 1) the confidences of a bin lie."),
    "corruption": Term(plain="corruption", what="How the images are spoiled: one of 15 common kinds, or of 4 extra ones."),
    "corruption_group": Term(plain="group", what="What the kind of corruption is like: noise, blur, weather or digital."),
    "corruption_extra": Term(plain="extra kind", what="One of the four kinds that no mean counts."),
    "severity": Term(plain="severity", what="How strongly the images are spoiled, 1 to 5, by the published constants of the kind."),
    "severity_table": Term(
        plain="constants",
        what="Which published constants the severities are: CIFAR-C’s, made for 32 pixels, or ImageNet-C’s, for 224.",
    ),
    "corruption_source": Term(plain="images from", what="generated: spoiled here, from the seed. official: read from the published files."),
    "spoiled_lost": Term(
        plain="turned wrong, spoiled images", unit="images",
        what="Images that the net gets right as they are and wrong when spoiled.",
    ),
    "spoiled_gained": Term(
        plain="turned right, spoiled images", unit="images",
        what="Images that the net gets right only when they are spoiled.",
    ),
    "attack": Term(plain="attack", what="How the change is found: FGSM in one step up the loss, PGD in ten that stay within the size."),
    "attack_norm": Term(
        plain="norm",
        what="What the size of a change is: linf its largest value at any pixel, l2 the root of its sum of squares.",
    ),
    "attack_strength": Term(plain="strength", name="ε", what="The largest size of the change, with pixels from 0 to 1; 0 is no attack."),
    "attack_ring": Term(
        plain="frequencies of the change", unit="0.01π",
        what="From where to where the change may have frequencies; 0 to 100 is all.",
    ),
    "attack_lost": Term(
        plain="turned wrong, under attack", unit="images",
        what="Images that are right as they are and that the attack turns wrong.",
    ),
    "by_shape": Term(plain="by shape", unit="images", what="Decisions for the class that the shape names."),
    "by_texture": Term(plain="by texture", unit="images", what="Decisions for the class that the texture names."),
    "by_colour": Term(plain="by colour", unit="images", what="Decisions for the class that the colour names."),
    "by_none": Term(plain="by none", unit="images", what="Decisions for a class that no cue of the picture names."),
    "phase": Term(plain="phase", what="A moment of the training: start, end of warm-up, one third, two thirds, end."),
    "claim": Term(plain="claim", what="A statement of the paper that can be measured, with what would support it fixed beforehand."),
    "verdict": Term(
        plain="verdict",
        what="Supported: the 95 % interval lies on the side of the claim and the effect passes the threshold. Contradicted: it lies on "
        "the other side. Undecided: it holds no effect, or too few units, images, mini-batches or seeds were measured.",
    ),
    "claim_seeds": Term(plain="seeds", what="Nets of each kind, trained alike from different starts. A verdict on pairs takes three."),
    "notation": Term(plain="notation", what="A net as text: one letter a unit, stages parted by dashes, options after slashes."),
    "flip": Term(plain="flip", what="Where the answer of a net turns while the lens moves over the frequencies."),
    "filter": Term(
        plain="filter",
        what="Low pass keeps broad patterns up to a frequency, high pass fine ones from it, band pass those around it.",
    ),
    "ribbon": Term(
        plain="ribbon",
        what="A net drawn as units on the line of its residual stream: square Conv, circle MSA, bar MLP; left is the image.",
    ),
    "deck": Term(plain="deck", what="The list of views that a presentation goes through; each is a link of this lab."),
}  # fmt: skip
