"""Each corruption but frost as its formula is published, one image at a time and slowly: float64, loops, numpy, scipy and Pillow.

A definition gets the image as (H, W, C) values 0..1, the constants, and the draws of that image under names; it gives values 0..255.
"""

import colorsys
import io

import numpy as np
from PIL import Image
from scipy import ndimage, stats


def gaussian_noise(x, c, d):
    return np.clip(x + c[0] * d["z"], 0, 1) * 255


def speckle_noise(x, c, d):
    return np.clip(x + x * c[0] * d["z"], 0, 1) * 255


def shot_noise(x, c, d):
    return np.clip(stats.poisson.ppf(d["u"], x * c[0]) / c[0], 0, 1) * 255


def impulse_noise(x, c, d):
    return np.where(d["u"] < c[0] / 2, 0, np.where(d["u"] > 1 - c[0] / 2, 255, x * 255))


def blurred(x, sigma, mode="nearest", truncate=4.0):
    return ndimage.gaussian_filter(x, (sigma, sigma, *(0,) * (x.ndim - 2)), mode=mode, truncate=truncate)


def gaussian_blur(x, c, d):
    return blurred(x, c[0]) * 255


def defocus_blur(x, c, d):
    radius, soft = c
    reach, taps = (8, 3) if radius <= 8 else (int(radius), 5)
    y, z = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    kernel = (y**2 + z**2 <= radius**2).astype(float)
    kernel /= kernel.sum()
    around = np.exp(-((np.arange(taps) - taps // 2) ** 2) / (2 * soft**2))
    around /= around.sum()
    kernel = ndimage.correlate1d(ndimage.correlate1d(kernel, around, 0, mode="mirror"), around, 1, mode="mirror")
    return np.stack([ndimage.correlate(x[..., k], kernel, mode="mirror") for k in range(x.shape[2])], 2) * 255


def zoomed(x, factor):
    side = len(x)
    inside = int(np.ceil(side / factor))
    top = (side - inside) // 2
    large = ndimage.zoom(x[top : top + inside, top : top + inside], (factor, factor, *(1,) * (x.ndim - 2)), order=1)
    top = (len(large) - side) // 2
    return large[top : top + side, top : top + side]


def zoom_blur(x, c, d):
    factors = np.arange(1, *c)
    return (x + sum(zoomed(x, factor) for factor in factors)) / (len(factors) + 1) * 255


def smeared(x, radius, sigma, degrees):
    """Half a Gaussian along a line, the border repeated."""
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    side, total = len(x), np.zeros(x.shape)
    for i, weight in enumerate(weights):
        dy = int(np.ceil(i * np.sin(np.deg2rad(degrees)) - 0.5))
        dx = int(np.ceil(i * np.cos(np.deg2rad(degrees)) - 0.5))
        for y in range(side):
            row = x[min(max(y + dy, 0), side - 1)]
            total[y] += weight * row[np.clip(np.arange(side) + dx, 0, side - 1)]
    return total


def motion_blur(x, c, d):
    return np.floor(smeared(x * 255, *c, d["angle"]) + 0.5)


def glass_blur(x, c, d):
    """As the published generator does it: its exchange of two views of an array copies one over the other."""
    sigma, reach, rounds = c
    side, moves = len(x), d["moves"]
    x = np.floor(blurred(x, sigma) * 255 + 1e-3)
    for r in range(rounds):
        for h in range(side - reach, reach, -1):
            for w in range(side - reach, reach, -1):
                dy, dx = moves[r, h - reach - 1, w - reach - 1]
                x[h, w], x[h + dy, w + dx] = x[h + dy, w + dx], x[h, w]
    return blurred(x, sigma)


def luma(x):
    return x if x.shape[2] == 1 else (x @ np.array([0.299, 0.587, 0.114]))[..., None]


def snow(x, c, d):
    layer = zoomed(c[0] + c[1] * d["z"], c[2])
    layer[layer < c[3]] = 0
    layer = np.floor(np.clip(layer, 0, 1) * 255 + 1e-3)
    layer = np.floor(smeared(layer, *c[4:6], d["angle"]) + 0.5)[..., None] / 255
    x = c[6] * x + (1 - c[6]) * np.maximum(x, luma(x) * 1.5 + 0.5)
    return np.clip(x + layer + np.rot90(layer, 2), 0, 1) * 255


def cloud(size, decay, draws):
    """Diamond-square on a torus, point by point."""
    drawn, field, step, swing = iter(draws), np.zeros((size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        for first_y, first_x, ways in (
            (half, half, ((-half, -half), (-half, half), (half, -half), (half, half))),
            (0, half, ((-half, 0), (half, 0), (0, -half), (0, half))),
            (half, 0, ((-half, 0), (half, 0), (0, -half), (0, half))),
        ):
            for y in range(first_y, size, step):
                for x in range(first_x, size, step):
                    near = sum(field[(y + a) % size, (x + b) % size] for a, b in ways)
                    field[y, x] = near / 4 + swing * swing * next(drawn)
        step, swing = half, swing / decay
    field -= field.min()
    return field / field.max()


def fog(x, c, d):
    side = len(x)
    x, most = x + c[0] * cloud(1 << (side - 1).bit_length(), c[1], d["u"])[:side, :side, None], x.max()
    return np.clip(x * most / (most + c[0]), 0, 1) * 255


def recoloured(x, change):
    return np.array([[colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*p))) for p in row] for row in x]) * 255


def brightness(x, c, d):
    return np.clip(x + c[0], 0, 1) * 255 if x.shape[2] == 1 else recoloured(x, lambda h, s, v: (h, s, min(1, v + c[0])))


def saturate(x, c, d):
    return x * 255 if x.shape[2] == 1 else recoloured(x, lambda h, s, v: (h, min(1, max(0, s * c[0] + c[1])), v))


def contrast(x, c, d):
    mean = x.mean((0, 1))
    return np.clip((x - mean) * c[0] + mean, 0, 1) * 255


def picture(x):
    return Image.fromarray(np.round(x * 255).astype(np.uint8).squeeze())


def back(made):
    return np.asarray(made, float).reshape(made.height, made.width, -1)


def pixelate(x, c, d):
    side, box = len(x), Image.Resampling.BOX
    return back(picture(x).resize((int(side * c[0]),) * 2, box).resize((side, side), box))


def jpeg_compression(x, c, d):
    stream = io.BytesIO()
    picture(x).save(stream, "JPEG", quality=c[0])
    return back(Image.open(stream))


def elastic_transform(x, c, d):
    side = len(x)
    centre, half = side // 2, side // 3
    old = np.array([[centre + half, centre + half], [centre + half, centre - half], [centre - half, centre - half]], float)
    new = old + d["corners"] * c[2] * side
    # right and down of an old place from right and down of a new one
    way = np.linalg.solve(np.hstack([new, np.ones((3, 1))]), old).T
    rows, columns = np.mgrid[:side, :side].astype(float)
    from_x, from_y = (way[k, 0] * columns + way[k, 1] * rows + way[k, 2] for k in range(2))
    turned = np.stack([ndimage.map_coordinates(x[..., k], (from_y, from_x), order=1, mode="mirror") for k in range(x.shape[2])], 2)
    dx, dy = (blurred(field, c[1] * side, "reflect", 3.0) * c[0] * side for field in d["field"])
    at = rows + dy, columns + dx
    return np.stack([ndimage.map_coordinates(turned[..., k], at, order=1, mode="reflect") for k in range(x.shape[2])], 2) * 255


def canny(x):
    """Edges of whole grey levels: 3 x 3 Sobel, sum of absolute slopes, 50 and 150, as OpenCV defines them."""
    dx, dy = ndimage.sobel(x, 1, mode="nearest"), ndimage.sobel(x, 0, mode="nearest")
    slope = np.pad(np.abs(dx) + np.abs(dy), 1)
    grade = np.zeros(x.shape, int)
    for y, z in np.ndindex(x.shape):
        here, a, b = slope[y + 1, z + 1], abs(dx[y, z]), abs(dy[y, z])
        if b < a * np.tan(np.pi / 8):
            most = here > slope[y + 1, z] and here >= slope[y + 1, z + 2]
        elif b > a * np.tan(3 * np.pi / 8):
            most = here > slope[y, z + 1] and here >= slope[y + 2, z + 1]
        else:
            s = -1 if (dx[y, z] < 0) != (dy[y, z] < 0) else 1
            most = here > slope[y, z + 1 - s] and here > slope[y + 2, z + 1 + s]
        grade[y, z] = most * (int(here > 50) + int(here > 150))
    parts, n = ndimage.label(grade > 0, np.ones((3, 3)))
    return np.isin(parts, [p for p in range(1, n + 1) if (grade[parts == p] == 2).any()])


def chamfer(marked):
    """Least cost of a way of steps 1 (straight), 1.4 (aslant) and 2.1969 (knight) to a marked pixel, at most 20."""
    best = np.full(marked.shape, 20.0)
    rows, columns = np.indices(marked.shape)
    for y, x in zip(*np.nonzero(marked), strict=True):
        long = np.maximum(abs(rows - y), abs(columns - x))
        short = np.minimum(abs(rows - y), abs(columns - x))
        knight = np.where(long >= 2 * short, short, long - short)
        cost = knight * 2.1969 + np.where(long >= 2 * short, long - 2 * short, (2 * short - long) * 1.4)
        best = np.minimum(best, cost)
    return best


def spatter(x, c, d):
    mean, deviation, sigma, threshold, strength, mud = c
    layer = blurred(mean + deviation * d["z"], sigma)
    colour = np.array([63, 42, 20] if mud else [175, 238, 238]) / 255
    colour = colour if x.shape[2] == 3 else luma(colour[None, None])[0, 0]
    if mud:
        cover = blurred((layer > threshold).astype(float), strength)[..., None]
        cover[cover < 0.8] = 0
        return (x * (1 - cover) + colour * cover) * 255
    wet = np.floor(np.clip(np.where(layer < threshold, 0, layer), 0, 1) * 255 + 1e-3)
    near = np.floor(ndimage.uniform_filter(chamfer(canny(wet)), 3, mode="mirror") + 1e-3).astype(int)
    count = np.bincount(near.ravel(), minlength=256)
    lowest = near.min()
    if count[lowest] < near.size:
        near = np.round((np.cumsum(count)[near] - count[lowest]) * 255 / (near.size - count[lowest]))
    relief = np.clip(ndimage.correlate(near, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]), mode="mirror"), 0, 255)
    light = np.floor(ndimage.uniform_filter(relief.astype(float), 3, mode="mirror") + 0.5) * wet
    return np.clip(x + (light / max(1, light.max()) * strength)[..., None] * colour, 0, 1) * 255


DEFINITIONS = {
    f.__name__: f
    for f in (
        gaussian_noise, shot_noise, impulse_noise, defocus_blur, glass_blur, motion_blur, zoom_blur, snow, fog, brightness, contrast,
        elastic_transform, pixelate, jpeg_compression, speckle_noise, gaussian_blur, spatter, saturate,
    )
}  # fmt: skip
