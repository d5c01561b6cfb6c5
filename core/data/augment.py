"""Feeding a net: batches of augmented, normalised images from a set that is in memory as uint8.

Crop and mirror of a whole batch are one gather: on the host each crop's rows are copied whole out of the padded images, on a GPU
the pixels are taken by precomputed maps.  Order of things: crop, mirror, RandAugment, normalise, erase, mix (as timm and the
paper's recipe).  All draws come from draws.py; the same seed gives the same batches on any device and number of workers.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.dataset import DatasetSpec, Images
from core.data.draws import Draws, Mix, draw_epoch, draw_mix
from core.data.policy import Workers, augment
from core.errors import DataError


def normalise(x: Tensor, spec: DatasetSpec, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 (B, C, H, W), C 1 or 3 -> (x / 255 - mean) / std as (B, 3, H, W) in channels_last; grey becomes three equal channels."""
    b, c, h, w = x.shape
    inner = x.permute(0, 2, 3, 1)
    if c == 1:
        inner = inner.expand(b, h, w, 3)
    # one long row an image: the sums run along whole rows instead of along three channels, which is many times faster
    flat = inner.reshape(b, h * w * 3).to(torch.float32)
    scale, shift = _affine(spec.mean, spec.std, h * w, x.device)
    return torch.addcmul(shift, flat, scale, out=flat).view(b, h, w, 3).permute(0, 3, 1, 2).to(dtype)


@lru_cache(maxsize=8)
def _affine(mean: tuple[float, ...], std: tuple[float, ...], pixels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factor and summand for every value of an image whose channels lie innermost."""
    with torch.inference_mode(False):  # they outlive the mode they happen to be made in
        m, s = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
        return tuple(v.to(torch.float32).repeat(pixels).to(device) for v in (1 / (255 * s), -m / s))


def eval_batches(
    images: Images, indices: np.ndarray | None, batch: int, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[Tensor, Tensor]]:
    """(x (B, 3, H, W) normalised and nothing else, y int64) over `indices` in order, or over all images."""
    n = len(images) if indices is None else len(indices)
    for start in range(0, n, batch):
        part = slice(start, start + batch) if indices is None else indices[start : start + batch]
        x = torch.from_numpy(np.array(images.pixels[part])).to(device)
        yield normalise(x, images.spec, dtype), torch.from_numpy(images.labels[part].astype(np.int64)).to(device)


def pad_images(pixels: np.ndarray, pad: int) -> np.ndarray:
    """uint8 (N, C, H, W) -> (N, H + 2 pad, W + 2 pad, C) with a black border, contiguous."""
    n, c, h, w = pixels.shape
    out = np.zeros((n, h + 2 * pad, w + 2 * pad, c), np.uint8)
    out[:, pad : pad + h, pad : pad + w] = pixels.transpose(0, 2, 3, 1)
    return out


def cut_host(padded: np.ndarray, rows: np.ndarray, top: np.ndarray, left: np.ndarray, mirror: np.ndarray, side: int) -> np.ndarray:
    """Crops (B, side, side, C) out of padded images (N, Hp, Wp, C) on the host, mirrored where asked."""
    n, high, wide, c = padded.shape
    # every run of `side` pixels in a row as one element of side * c bytes: a crop copies `side` elements, not side² pixels
    runs = np.ndarray((n, high, wide - side + 1), f"V{side * c}", padded.data, strides=padded.strides[:3])
    out = runs[rows[:, None], top[:, None] + np.arange(side), left[:, None]]
    cut = out.view(f"V{c}").reshape(len(rows), side, side)
    cut[mirror] = cut[mirror][:, :, ::-1]
    return cut.view(np.uint8).reshape(len(rows), side, side, c)


def cut_device(padded: Tensor, rows: Tensor, top: Tensor, left: Tensor, mirror: Tensor, side: int) -> Tensor:
    """`cut_host` for tensors on any device: one gather of pixels through index maps."""
    n, high, wide, c = padded.shape
    where = (rows * high + top) * wide + left
    index = where[:, None] + _maps(side, wide, padded.device)[mirror.long()]
    return padded.view(n * high * wide, c)[index].view(len(rows), side, side, c)


@lru_cache(maxsize=4)
def _maps(side: int, wide: int, device: torch.device) -> Tensor:
    """(2, side²): where the pixels of a crop lie behind its corner, and the same mirrored."""
    with torch.inference_mode(False):
        plain = torch.arange(side)[:, None] * wide + torch.arange(side)
        return torch.stack([plain, plain.flip(1)]).view(2, -1).to(device)


def erase(x: Tensor, boxes: Tensor) -> Tensor:
    """x (B, C, H, W) with one box (top, left, height, width) an image set to zero, the mean after normalising; in place."""
    top, left, height, width = boxes.view(-1, 4, 1).unbind(1)
    y, z = (torch.arange(n, device=x.device) for n in x.shape[2:])
    rows, columns = (y >= top) & (y < top + height), (z >= left) & (z < left + width)
    return x.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def blend(x: Tensor, y: Tensor, mix: Mix, classes: int, smoothing: float) -> tuple[Tensor, Tensor]:
    """The batch mixed with itself in reverse order, in place, and soft targets (B, classes) of the same shares."""
    if mix.box is None:
        x.lerp_(x.flip(0), 1 - mix.share)
    else:
        top, bottom, left, right = mix.box
        x[:, :, top:bottom, left:right] = x[:, :, top:bottom, left:right].flip(0)
    target = F.one_hot(y, classes).to(torch.float32) * (1 - smoothing) + smoothing / classes
    return x, target * mix.share + target.flip(0) * (1 - mix.share)


class Feeder:
    """Training batches, epoch by epoch.

    Keeps the chosen images padded, as uint8: on the device if they fit in half of what is free there, else on the host; a
    memory-mapped set is read batch by batch.  `workers` processes help with RandAugment; the rest is quicker than handing it over.
    """

    def __init__(
        self, images: Images, indices: np.ndarray, batch: int, *, pad: int = 0, flip: bool = False, randaugment: str = "",
        mixup: float = 0.0, cutmix: float = 0.0, smoothing: float = 0.0, erasing: float = 0.0, seed: int = 0,
        device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, workers: int = 0, drop_last: bool = True,
    ) -> None:  # fmt: skip
        """Feed `images` at the positions `indices`.  Raises DataError if there is nothing to feed or a setting is impossible."""
        if len(indices) == 0 or batch < 1 or pad < 0:
            raise DataError(f"Cannot feed {len(indices)} images in batches of {batch} with a shift of {pad}.")
        self.images, self.indices, self.batch = images, np.asarray(indices), min(batch, len(indices))
        self.pad, self.flip, self.randaugment, self.erasing = pad, flip, randaugment, erasing
        self.mixup, self.cutmix, self.smoothing = mixup, cutmix, smoothing
        self.seed, self.device, self.dtype, self.workers, self.drop_last = seed, torch.device(device), dtype, workers, drop_last
        self.side, self.classes = images.pixels.shape[2], len(images.spec.classes)
        self.labels = torch.from_numpy(images.labels[self.indices].astype(np.int64)).to(self.device)
        self.store = self._store()
        self._pool: Workers | None = None

    def _store(self) -> np.ndarray | Tensor | None:
        """The padded images: a tensor on the GPU, an array on the host, or None for a set that stays on disk."""
        if isinstance(self.images.pixels, np.memmap):
            return None
        store = pad_images(self.images.pixels[self.indices], self.pad)
        if self.device.type == "cuda" and not self.randaugment and store.nbytes < torch.cuda.mem_get_info(self.device)[0] // 2:
            return torch.from_numpy(store).to(self.device)
        return store

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch; the last one may be short without drop_last."""
        n = len(self.indices)
        return n // self.batch if self.drop_last else -(-n // self.batch)

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """(x (B, 3, H, W) normalised channels_last, y) from `start_step` of an epoch on.

        y is int64 (B,) without mixing (smoothing is then for the loss to do), soft targets (B, classes) with Mixup or CutMix.
        """
        n = len(self.indices)
        draws = draw_epoch(n, self.side, seed=self.seed, epoch=epoch, pad=self.pad, flip=self.flip, erasing=self.erasing)
        order, boxes = (torch.from_numpy(a).to(self.device) for a in (draws.order, draws.erase))
        parts = [slice(s * self.batch, min(n, (s + 1) * self.batch)) for s in range(start_step, self.steps_per_epoch)]
        for step, part, pixels in zip(range(start_step, self.steps_per_epoch), parts, self._pixels(draws, parts), strict=True):
            x = normalise(pixels.permute(0, 3, 1, 2), self.images.spec)
            y = self.labels[order[part]]
            if self.erasing:
                erase(x, boxes[part])
            if self.mixup or self.cutmix:
                mix = draw_mix(self.side, seed=self.seed, epoch=epoch, step=step, mixup=self.mixup, cutmix=self.cutmix)
                x, y = blend(x, y, mix, self.classes, self.smoothing)
            yield x.to(self.dtype), y

    def _pixels(self, draws: Draws, parts: list[slice]) -> Iterator[Tensor]:
        """Cropped, mirrored and RandAugmented batches uint8 (B, H, W, C) on the device."""
        if isinstance(self.store, Tensor):
            order, top, left, mirror = (torch.from_numpy(a).to(self.device) for a in (draws.order, draws.top, draws.left, draws.mirror))
            for part in parts:
                yield cut_device(self.store, order[part], top[part], left[part], mirror[part], self.side)
            return
        cuts = (self._cut(draws, part) for part in parts)
        for pixels in self._augmented(cuts, draws, parts) if self.randaugment else cuts:
            yield torch.from_numpy(pixels).to(self.device, non_blocking=True)

    def _cut(self, draws: Draws, part: slice) -> np.ndarray:
        rows, store = draws.order[part], self.store
        if store is None:
            store, rows = pad_images(np.array(self.images.pixels[self.indices[rows]]), self.pad), np.arange(len(rows))
        cut = cut_host(store, rows, draws.top[part], draws.left[part], draws.mirror[part], self.side)
        return np.repeat(cut.reshape(-1), 3).reshape(*cut.shape[:3], 3) if cut.shape[3] == 1 else cut

    def _augmented(self, cuts: Iterator[np.ndarray], draws: Draws, parts: list[slice]) -> Iterator[np.ndarray]:
        batches = zip(cuts, (draws.policy[part] for part in parts), strict=True)
        fill = tuple(min(255, round(255 * m)) for m in self.images.spec.mean)
        if not self.workers:
            yield from (augment(batch, self.randaugment, fill) for batch in batches)
            return
        self._pool = self._pool or Workers(self.workers, self.randaugment, fill)
        yield from self._pool.map(batches)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
