"""Changes of PyTorch's arithmetic in this project, in order; the column `numerics` counts them."""

from __future__ import annotations

from common.model.layers import Dropout, SpatialDropout
from common.training.numerics import Change, every_run, layers

CHANGES: tuple[Change, ...] = (
    Change("ab55572", "images stay bytes until a training step scales them", every_run),
    Change("9049343", "dropout draws its masks in another way", layers(Dropout, SpatialDropout)),
)
