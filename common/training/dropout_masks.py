"""Dropout masks from NumPy, so that two frameworks drop the same values; real runs draw their own.

Only proofs need them: a mask made here costs more than the layer it is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike, NDArray

_PURPOSE = 0xD409  # keeps these draws apart from those of the weights, the order and the augmentation


@dataclass
class Masks:
    """The masks of one layer, step after step. They depend on (seed, name) and on the shapes asked for.

    `whole_channels` drops all of a channel at once (spatial dropout).
    """

    rate: float
    name: str
    seed: int
    whole_channels: bool = False
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng([_PURPOSE, self.seed, *self.name.encode()])

    def __call__(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.floating]:
        """Of (N, C, H, W) or (N, F): 0 where a value is dropped, 1 / (1 - rate) where not."""
        drawn = (*shape[:2], *(1 for _ in shape[2:])) if self.whole_channels else shape
        kept = (self.random.random(drawn) >= self.rate).astype(dtype)
        kept /= 1 - self.rate
        return np.broadcast_to(kept, shape).copy()
