"""What an analysis measures: a trained run at one moment of its training, with its images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from core import data, io, store
from core.errors import MeasureError, StoreError, unknown
from core.run import Run

if TYPE_CHECKING:
    import torch

    from core.models import Net


class Subject:
    """What an analysis measures: one trained run on one device.  Nothing is loaded before it is asked for."""

    def __init__(self, run: Run, device: str = "auto", phase: str = "end") -> None:
        self.run, self.phase, self._device = run, phase, device
        self.arch = run.plan
        self.spec = data.card_for(run.plan, data.get(run.data))

    @cached_property
    def device(self) -> torch.device:
        """The device to measure on."""
        from core.train.device import resolve

        return resolve(self._device)

    @cached_property
    def net(self) -> Net:
        """The net with the weights of `phase`, in eval mode and fp32."""
        import torch

        from core.models import build
        from core.train.snapshot import fill, load_weights

        with torch.inference_mode(False):  # whoever asks first: weights made in inference mode could never have a gradient
            net = build(self.arch, self.run.image_size, self.run.classes, seed=self.run.seed).to(self.device)
            if self._rebuilt is not None:
                fill(net, self._rebuilt, "init")
            else:
                load_weights(net, store.weights(self.run.id, self.phase))
        return net.attend("sdpa").eval()

    @cached_property
    def _rebuilt(self) -> bytes | None:
        """What the weights file of `init` would hold, made from the seed, where a run does not keep it; None otherwise."""
        if self.phase != "init" or self.run.outline:
            return None
        try:
            store.weights(self.run.id, "init")
        except StoreError:
            from core.models import build
            from core.train.snapshot import rounded

            return rounded(build(self.arch, self.run.image_size, self.run.classes, seed=self.run.seed))
        return None

    @cached_property
    def weights_digest(self) -> str:
        """Digest of the stored weights that are measured."""
        if self._rebuilt is not None:
            return io.digest(self._rebuilt)
        return io.digest_file(store.weights(self.run.id, self.phase))

    def pictures(self, on: str = "test") -> data.Images:
        """A set of images at the net's size: its own `test` or `train` images, or the test images of another data set by its id.

        They are normalised as the net's own, whatever the set.  Of the training images of a whole set, a part that comes with the lab
        is taken, so that the same images are measured on every machine.  DataError lists the known sets.
        """
        if on not in ("test", "train", *data.every()):  # a name from a link or a form: never a folder
            raise unknown(MeasureError, "set of images", on, ["test", "train", *data.every()])
        source = {"test": self.run.data, "train": self._trained_on}.get(on, on)
        found = data.load(source, "train" if on == "train" else "test", self.run.image_size)
        return dataclasses.replace(found, spec=dataclasses.replace(found.spec, mean=self.spec.mean, std=self.spec.std))

    @property
    def _trained_on(self) -> str:
        """The data set whose training images stand for the run's own: its own, or the part of it that needs no download."""
        if self.run.fraction == 1 and not self.run.limit:
            return next((s.id for s in data.DATASETS.values() if s.subset_of == self.run.data and not s.needs_download), self.run.data)
        return self.run.data

    def chunks(self, on: str, n: int, seed: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(x (size or less, 3, H, W) normalised, y) of a sample balanced over classes, the same for the same seed.

        Chunks differ by one image at most.  `n` = 0 takes all images.  Raises MeasureError if the set has fewer than `n`.
        """
        import numpy as np
        import torch

        from core.data.augment import eval_batches

        images = self.pictures(on)
        if n > len(images):
            raise MeasureError(f"{n} images are asked for; the {images.split} split of {images.spec.title} has {len(images)}.")
        indices = data.subset(images.labels, 1.0, n, seed) if n else np.arange(len(images))
        for part in np.array_split(indices, -(-len(indices) // size)):
            yield from eval_batches(images, part, len(part), self.device, torch.float32)

    def images(self, on: str, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same sample as one pair of tensors, (n, 3, H, W) and (n,)."""
        import torch

        parts = list(self.chunks(on, n, seed, 512))
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
