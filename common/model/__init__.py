"""Networks and the recipes they are trained with, in no framework's terms: what a network's file imports."""

from common.data.augment import Affine, Elastic, RandomCrop, ZoomCrop
from common.data.moment_normalization import MomentNormalization
from common.model.entry import Entry, Recorded
from common.model.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    MaxPool,
    SpatialDropout,
)
from common.model.optimizer import SGD, Adadelta, Adam
from common.model.recipe import Recipe
from common.model.schedule import Constant, Linear, OneCycle, StepDecay
from common.model.spec import Concat, ModelSpec, Residual

__all__ = [
    "SGD",
    "Activation",
    "Adadelta",
    "Adam",
    "Affine",
    "AvgPool",
    "BatchNorm",
    "Concat",
    "Constant",
    "Conv",
    "Dense",
    "Dropout",
    "Elastic",
    "Entry",
    "Flatten",
    "GlobalAvgPool",
    "GroupNorm",
    "Linear",
    "MaxPool",
    "ModelSpec",
    "MomentNormalization",
    "OneCycle",
    "RandomCrop",
    "Recipe",
    "Recorded",
    "Residual",
    "SpatialDropout",
    "StepDecay",
    "ZoomCrop",
]
