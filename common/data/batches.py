"""Batches: which images each step of an epoch sees, and how their bytes become numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.data.datasets import DataError

TEST_BATCH_SIZE = 1000
"""Images that a test predicts at once, unless the command line says otherwise."""

_CHUNK = 1 << 22  # pixels that are counted at once

ORDER = 0x6F72646572
"""Keeps the epoch orders' random stream apart from others of the same seed (the bytes spell "order")."""


@dataclass(frozen=True)
class Scaling:
    """(pixel / 255 - `mean`) / `std`, computed as pixel times `factor` plus `shift`."""

    mean: float = 0.0
    std: float = 1.0

    @property
    def factor(self) -> float:
        return 1 / (255 * self.std)

    @property
    def shift(self) -> float:
        return -self.mean / self.std


def scaling_of(images: NDArray[np.uint8]) -> Scaling:
    """The scaling by mean and standard deviation of all pixels, over all channels together, in 0..1.

    Raises DataError where all pixels are equal.
    """
    counts = np.zeros(256, np.int64)
    pixels = images.reshape(-1)
    for start in range(0, len(pixels), _CHUNK):
        counts += np.bincount(pixels[start : start + _CHUNK], minlength=256)
    values, total = np.arange(256) / 255, counts.sum()
    mean = float((counts * values).sum() / total)
    std = float(np.sqrt((counts * (values - mean) ** 2).sum() / total))
    if np.count_nonzero(counts) < 2:
        raise DataError("All pixels of the training images are equal: nothing can be learned from them.")
    return Scaling(mean, std)


def channel_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, H, W) or (N, H, W, 3) as a network's input has them: (N, 1, H, W) or (N, 3, H, W)."""
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def normalise(
    images: NDArray[np.uint8], scaling: Scaling, *, dtype: DTypeLike = "float32"
) -> NDArray[np.floating]:
    """Images (N, H, W) or (N, H, W, 3) scaled, as a C-contiguous array (N, channels, H, W) of `dtype`.

    A product and a sum in `dtype`, which is how the frameworks compute it from bytes: all get the same
    numbers. Raises ValueError for images of another type or shape, and for a deviation that is not above 0.
    """
    if images.dtype != np.uint8 or (images.ndim != 3 and images.shape[3:] != (3,)):
        raise ValueError(
            f"Images must be uint8 (N, H, W) or (N, H, W, 3), not {images.dtype} {images.shape}."
        )
    if not scaling.std > 0:
        raise ValueError(f"The standard deviation must be above 0; it is {scaling.std}.")
    result = channel_first(images).astype(dtype)
    result *= scaling.factor
    result += scaling.shift
    return result


def epoch_order(count: int, *, batch_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Indices of the images of each step of an epoch: int64 (count // batch_size, batch_size).

    A permutation that depends on (seed, epoch) and the count alone, cut into whole batches. The incomplete
    last batch is left out: other images in every epoch.
    Raises DataError if the batch size is not from 1 to `count`, or seed or epoch is negative.
    """
    if not 1 <= batch_size <= count:
        raise DataError(
            f"The batch size must be from 1 to {count}, the number of images; it is {batch_size}."
        )
    if seed < 0 or epoch < 0:
        raise DataError(f"Seed and epoch must be 0 or more; they are {seed} and {epoch}.")
    sequence = np.random.SeedSequence(seed, spawn_key=(ORDER, epoch))
    order = np.random.Generator(np.random.PCG64(sequence)).permutation(count)
    steps = count // batch_size
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int64, copy=False)
