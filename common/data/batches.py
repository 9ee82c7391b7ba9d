"""Batches: which images each step of an epoch sees, and how their bytes become numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.data.datasets import DataError
from common.data.idx import SIDE

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


def normalise(
    images: NDArray[np.uint8], *, mean: float, std: float, dtype: DTypeLike = "float32"
) -> NDArray[np.floating]:
    """(images / 255 - mean) / std as a C-contiguous array (N, 1, 28, 28) of `dtype`, from uint8 (N, 28, 28).

    A product and a sum in `dtype`, which is how the frameworks compute it from bytes: all get the same
    numbers. Raises ValueError for images of another type or shape, and for a `std` that is not above 0.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"Images must be uint8 (N, 28, 28), not {images.dtype} {images.shape}.")
    if not std > 0:
        raise ValueError(f"The standard deviation must be above 0; it is {std}.")
    scaling = Scaling(mean, std)
    result = images[:, None].astype(dtype)
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
