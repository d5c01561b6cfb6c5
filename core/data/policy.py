"""RandAugment through timm and Pillow, one seed an image, in this process or in several.

Source: Cubuk et al. 2020, arXiv:1909.13719; the settings string is timm's, `rand-m9-n2-mstd1.0` in the paper's recipe (Appendix A.1).
Torch is only imported because timm does it.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context

import numpy as np

from core.errors import DataError

Batch = tuple[np.ndarray, np.ndarray]  # pixels uint8 (B, H, W, 3), seeds (B,)


@lru_cache(maxsize=4)
def _transform(settings: str, side: int, fill: tuple[int, int, int]):
    from timm.data.auto_augment import rand_augment_transform

    try:
        return rand_augment_transform(settings, {"translate_const": int(side * 0.45), "img_mean": fill})
    except (AssertionError, ValueError, KeyError) as error:
        raise DataError(f"{settings!r} is no RandAugment setting; it should be like 'rand-m9-n2-mstd1.0'.") from error


def augment(batch: Batch, settings: str, fill: tuple[int, int, int]) -> np.ndarray:
    """The batch with each image augmented by the draws of its own seed; `fill` colours what comes in from outside.

    timm draws from the global generators of `random` and numpy; both are left as they were found.
    """
    from PIL import Image

    pixels, seeds = batch
    transform = _transform(settings, pixels.shape[1], fill)
    out = np.empty_like(pixels)
    kept = random.getstate(), np.random.get_state()
    try:
        for i, seed in enumerate(seeds.tolist()):
            random.seed(seed)
            np.random.seed(seed)
            out[i] = np.asarray(transform(Image.fromarray(pixels[i])))
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
    return out


class Workers:
    """Processes that augment batches ahead of time; the order of the batches is kept.  `close` ends them."""

    def __init__(self, number: int, settings: str, fill: tuple[int, int, int]) -> None:
        """Start with the first batch, which takes some seconds because timm imports torch."""
        self.number, self.settings, self.fill = number, settings, fill
        # not fork: the training process has threads, and a forked lock never opens; the fork server imports timm once for all
        context = get_context("forkserver")
        context.set_forkserver_preload(["timm.data.auto_augment"])
        self.pool = ProcessPoolExecutor(number, mp_context=context)

    def map(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """Augmented batches in order, two for each process under way."""
        waiting: deque[Future] = deque()
        try:
            for batch in batches:
                waiting.append(self.pool.submit(augment, batch, self.settings, self.fill))
                if len(waiting) > 2 * self.number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise DataError("A process that helps with RandAugment was ended from outside, perhaps for want of memory.") from error
        finally:  # an epoch that is left early leaves nothing to do
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """End the processes."""
        self.pool.shutdown(wait=False, cancel_futures=True)
