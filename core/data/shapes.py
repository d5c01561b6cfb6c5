"""`shapes-textures`: generated pictures in which shape, texture and colour are chosen independently of each other.

What is where in the spectrum is known by construction, at every image size:

- colour: the mean of the figure against a plain background, the lowest frequencies;
- shape: an outline as wide as a third of the picture, drawn with an edge that is two pixels soft, so that most of it lies below
  0.4 π per pixel (the softness is in pixels: a larger picture has its shape at lower frequencies, never at higher ones);
- texture: a grating of period 3 pixels (0.67 π per pixel) and of one strength, added inside the figure in one of eight
  directions; its mean over the figure is almost zero, so it says nothing about colour, and a blur removes it while the shape stays.

The sum is never clipped, so the parts do not leak into each other.  Mirroring changes the direction of a grating: leave it off when
the texture is the label.

The label is the shape unless asked otherwise.  `agreement` ties the texture to the shape for a share of the images: 0 is
independence, 1 makes both cues say the same, and a test set with agreement 0 then holds the cue conflicts.
"""

import numpy as np

from core.data.dataset import check_size
from core.errors import DataError

SHAPES = ("disc", "square", "triangle", "star", "cross", "ring", "crescent", "bar")
TEXTURES = tuple(f"grating {22.5 * k:g}°" for k in range(8))
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "violet", "pink")
CUES = {"shape": SHAPES, "texture": TEXTURES, "colour": COLOURS}
TRAIN, TEST = 8_000, 2_000
PERIOD, EDGE, STRENGTH = 3.0, 2.0, 45.0  # pixels, pixels, grey levels
# Of about the same brightness, and far enough from 0 and 255 for the grating to fit.
_RGB = np.array(
    [[190, 70, 70], [185, 110, 55], [150, 135, 55], [70, 150, 70], [55, 145, 150], [75, 110, 190], [135, 90, 190], [185, 75, 140]], float
)


def _distance(shape: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far inside (positive) the outline a point lies, in half widths of the figure; x and y point right and down."""
    radius, angle = np.hypot(x, y), np.arctan2(x, -y)
    match SHAPES[shape]:
        case "disc":
            return 0.9 - radius
        case "square":
            return 0.78 - np.maximum(np.abs(x), np.abs(y))
        case "triangle":
            return 1.1 * np.cos(np.pi / 3) - radius * np.cos((angle % (2 * np.pi / 3)) - np.pi / 3)
        case "star":
            point = np.abs((angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5) / (np.pi / 5)
            return 1.1 - 0.62 * point - radius
        case "cross":
            return np.maximum(np.minimum(0.34 - np.abs(x), 0.95 - np.abs(y)), np.minimum(0.95 - np.abs(x), 0.34 - np.abs(y)))
        case "ring":
            return 0.26 - np.abs(radius - 0.72)
        case "crescent":
            return np.minimum(0.95 - radius, np.hypot(x - 0.5, y) - 0.72)
        case _:
            return np.minimum(0.98 - np.abs(x), 0.36 - np.abs(y))


def generate(n: int, size: int = 32, *, seed: int = 0, agreement: float = 0.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pictures uint8 (n, 3, size, size) and the class of each cue {shape, texture, colour} as int64 (n,).

    Every cue takes its eight values equally often (to one image).  The same arguments give the same pictures.
    Raises DataError on impossible numbers.
    """
    check_size(size)
    if n < 1 or not 0 <= agreement <= 1:
        raise DataError(f"Cannot draw {n} pictures with agreement {agreement}; take at least 1 picture and an agreement from 0 to 1.")
    rng = np.random.default_rng([seed, 815])
    cues = {name: rng.permutation(np.arange(n) % len(values)) for name, values in CUES.items()}
    cues["texture"] = np.where(rng.random(n) < agreement, cues["shape"], cues["texture"])
    half = rng.uniform(0.30, 0.40, n) * size
    centre = size / 2 + rng.uniform(-0.12, 0.12, (2, n)) * size
    turn, phase = np.deg2rad(rng.uniform(-15, 15, n)), rng.uniform(0, 2 * np.pi, n)
    tint, ground = rng.uniform(0.85, 1.1, n), rng.uniform(20, 60, n)
    pixels = np.empty((n, 3, size, size), np.uint8)
    for shape in range(len(SHAPES)):
        for part in np.array_split(np.flatnonzero(cues["shape"] == shape), max(1, n * size * size >> 22)):
            mask = figure(shape, size, half[part], centre[:, part], turn[part])
            wave = grating(cues["texture"][part], size, phase[part])
            colour = _RGB[cues["colour"][part]] * tint[part, None]
            inside = colour[:, :, None, None] + STRENGTH * wave[:, None]
            back = ground[part, None, None, None]
            pixels[part] = np.clip(np.rint(back + mask[:, None] * (inside - back)), 0, 255)
    return pixels, {name: values.astype(np.int64) for name, values in cues.items()}


def figure(shape: int, size: int, half: np.ndarray, centre: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Masks 0..1 (n, size, size) of one shape; half widths and centres in pixels, turns in radians."""
    y, x = np.mgrid[:size, :size] + 0.5
    dx, dy = (x - centre[0][:, None, None], y - centre[1][:, None, None])
    cos, sin = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    scale = half[:, None, None]
    inside = _distance(shape, (cos * dx + sin * dy) / scale, (cos * dy - sin * dx) / scale) * scale
    soft = np.clip(inside / EDGE + 0.5, 0, 1)
    return soft * soft * (3 - 2 * soft)


def grating(texture: np.ndarray, size: int, phase: np.ndarray) -> np.ndarray:
    """Waves -1..1 (n, size, size) of the textures' directions."""
    y, x = np.mgrid[:size, :size]
    angle = (np.pi / 8 * texture)[:, None, None]
    return np.cos(2 * np.pi / PERIOD * (np.cos(angle) * x + np.sin(angle) * y) + phase[:, None, None])


def read(split: str, size: int, cue: str = "shape") -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels of one split; train and test are drawn from different seeds."""
    pixels, cues = generate(TRAIN if split == "train" else TEST, size, seed=0 if split == "train" else 1)
    return pixels, cues[cue]
