"""Dropout masks from NumPy, with which two frameworks drop the same values.

Only traces use them: a mask costs more time here than the layer it is for. In a run each framework draws its
own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.identity import kind_of
from common.model.layers import Dropout, SpatialDropout
from common.model.spec import Node

_PURPOSE = 0xD409  # keeps these draws apart from those of the weights, the order and the augmentation


@dataclass
class Masks:
    """The masks of one layer, step after step. They depend on (seed, name) and on the shapes requested.

    With `whole_channels` all values of a channel are dropped together (spatial dropout).
    """

    rate: float
    name: str
    seed: int
    whole_channels: bool = False
    random: np.random.Generator = field(init=False)

    @classmethod
    def of(cls, node: Node, seed: int) -> Masks:
        """The masks of a dropout layer of a network. Raises TypeError for another layer."""
        if not isinstance(node.layer, Dropout | SpatialDropout):
            raise TypeError(f"{node.name} is a {kind_of(node.layer)}, which drops nothing.")
        return cls(node.layer.rate, node.name, seed, isinstance(node.layer, SpatialDropout))

    def __post_init__(self) -> None:
        self.random = np.random.default_rng([_PURPOSE, self.seed, *self.name.encode()])

    def __call__(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.floating]:
        """The next mask, (N, C, H, W) or (N, F): 0 where a value is dropped, 1 / (1 - rate) elsewhere."""
        drawn_shape = (*shape[:2], *(1 for _ in shape[2:])) if self.whole_channels else shape
        mask = (self.random.random(drawn_shape) >= self.rate).astype(dtype)
        mask /= 1 - self.rate
        return np.broadcast_to(mask, shape).copy()
