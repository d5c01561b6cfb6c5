"""The kinds of corruption, what each does, and both published tables of severities.  No torch here, so that pages may read it."""

from dataclasses import dataclass

from core.errors import DataError, unknown

SEVERITIES = (1, 2, 3, 4, 5)
GROUPS = ("noise", "blur", "weather", "digital")


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """One kind.  title: its name on screen · group: noise, blur, weather or digital · extra: left out of the published mean ·
    card: what it does, in a sentence or two, and what it does to grey images where that is not obvious."""

    title: str
    group: str
    card: str
    extra: bool = False


# The keys are the names of the published files.
KINDS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(
        title="Gaussian noise", group="noise", card="Adds normal noise to every value, as poor light does; each channel has its own."
    ),
    "shot_noise": Corruption(
        title="Shot noise", group="noise", card="Counts photons: every value is drawn from a Poisson law whose mean it is."
    ),
    "impulse_noise": Corruption(
        title="Impulse noise", group="noise", card="Salt and pepper: a share of the values becomes 0 or 255, half of them each."
    ),
    "defocus_blur": Corruption(title="Defocus blur", group="blur", card="Averages over a disk, as a lens out of focus does."),
    "glass_blur": Corruption(
        title="Glass blur", group="blur",
        card="Blurs, lets one pixel after the other take a near one's place, and blurs again, as frosted glass does.",
    ),
    "motion_blur": Corruption(
        title="Motion blur", group="blur", card="Smears along a line of random slope (up to 45 degrees) with falling weight."
    ),
    "zoom_blur": Corruption(title="Zoom blur", group="blur", card="Averages the image with magnified copies of itself."),
    "snow": Corruption(
        title="Snow", group="weather",
        card="Bright flakes that fall along a random slope over a whitened image. Grey images: their own value whitens.",
    ),
    "frost": Corruption(
        title="Frost", group="weather",
        card="A darkened image under a piece of frost. The frost is a generated texture with the colour, contrast and spectrum of the "
        "published photographs, not one of them. Grey images: the luma of the frost.",
    ),
    "fog": Corruption(
        title="Fog", group="weather", card="A random cloud (diamond-square fractal) lies over the image and takes its contrast."
    ),
    "brightness": Corruption(
        title="Brightness", group="weather", card="Raises the value of hue, saturation and value. Grey images: the same amount is added."
    ),
    "contrast": Corruption(title="Contrast", group="digital", card="Draws every channel towards its mean over the image."),
    "elastic_transform": Corruption(
        title="Elastic", group="digital", card="A random affine map, then every pixel moves by a smooth random field."
    ),
    "pixelate": Corruption(title="Pixelate", group="digital", card="Shrinks the image with a box filter and enlarges it again."),
    "jpeg_compression": Corruption(
        title="JPEG", group="digital", card="Compresses with JPEG and decodes, colour at half the resolution. Grey images: as grey JPEG."
    ),
    "speckle_noise": Corruption(
        title="Speckle noise", group="noise", extra=True, card="Multiplies every value by one plus normal noise: bright places get more."
    ),
    "gaussian_blur": Corruption(title="Gaussian blur", group="blur", extra=True, card="Averages with Gaussian weights."),
    "spatter": Corruption(
        title="Spatter", group="weather", extra=True,
        card="Drops of water (severities 1 to 3) or mud (4 and 5). Grey images: the luma of the drops.",
    ),
    "saturate": Corruption(
        title="Saturate", group="digital", extra=True,
        card="Scales the saturation of hue, saturation and value, and adds to it. Images of one channel have none and stay as they are; "
        "in colour images a grey pixel turns reddish at severities 4 and 5, as in the published images, since its hue counts as red.",
    ),
}  # fmt: skip

Row = tuple[float, ...]

# What stands for what: gaussian, speckle: standard deviation / 255 · shot: photons at white · impulse: share of values ·
# defocus: radius, sigma of its soft edge · glass: sigma, reach, rounds · motion: radius, sigma · zoom: end, step of the factors ·
# snow: mean, deviation, zoom, threshold, radius, sigma, share of the image · frost: shares of image and frost · fog: thickness, decay ·
# elastic: strength, smoothness, affine, as shares of the side · pixelate: size · jpeg: quality · spatter: mean, deviation, sigma,
# threshold, strength, mud · saturate: factor, added.
TABLES: dict[str, dict[str, tuple[Row, ...]]] = {
    "cifar-c": {
        "gaussian_noise": ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
        "shot_noise": ((500,), (250,), (100,), (75,), (50,)),
        "impulse_noise": ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
        "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        "zoom_blur": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "snow": (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        "frost": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        "brightness": ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
        "contrast": ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
        "elastic_transform": ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
        "pixelate": ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
        "jpeg_compression": ((80,), (65,), (58,), (50,), (40,)),
        "speckle_noise": ((0.06,), (0.1,), (0.12,), (0.16,), (0.2,)),
        "gaussian_blur": ((0.4,), (0.6,), (0.7,), (0.8,), (1,)),
        "spatter": (
            (0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    },
    "imagenet-c": {
        "gaussian_noise": ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
        "shot_noise": ((60,), (25,), (12,), (5,), (3,)),
        "impulse_noise": ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
        "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        "snow": (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
        "frost": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        "brightness": ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
        "contrast": ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
        # published as multiples of 244 pixels for images of 224
        "elastic_transform": tuple(
            tuple(share * 244 / 224 for share in row)
            for row in ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
        ),
        "pixelate": ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
        "jpeg_compression": ((25,), (18,), (15,), (10,), (7,)),
        "speckle_noise": ((0.15,), (0.2,), (0.35,), (0.45,), (0.6,)),
        "gaussian_blur": ((1,), (2,), (3,), (4,), (6,)),
        "spatter": (
            (0.65, 0.3, 4, 0.69, 0.6, 0), (0.65, 0.3, 3, 0.68, 0.6, 0), (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1), (0.67, 0.4, 1, 0.65, 1.5, 1),
        ),
        "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    },
}  # fmt: skip
SIDES = {"cifar-c": 32, "imagenet-c": 224}


def counted() -> list[str]:
    """The 15 kinds of the published mean; the extra ones are left out of it."""
    return [kind for kind, about in KINDS.items() if not about.extra]


def table_of(side: int) -> str:
    """Which table images of `side` pixels take: the one made for the size nearest in ratio (up to 84 pixels that is cifar-c)."""
    return min(SIDES, key=lambda table: max(side / SIDES[table], SIDES[table] / side))


def constants(kind: str, severity: int, table: str) -> Row:
    """The published constants of one severity.  DataError lists what is known."""
    if table not in TABLES:
        raise unknown(DataError, "table of severities", table, TABLES)
    if kind not in KINDS:
        raise unknown(DataError, "corruption", kind, KINDS)
    if severity not in SEVERITIES:
        raise DataError(f"A corruption has severities 1 to 5, not {severity!r}.")
    return TABLES[table][kind][severity - 1]
