"""Networks for comparisons: of the kinds of layers that the zoo lacks, and changed ones."""

from __future__ import annotations

import dataclasses
from typing import get_args

from common.frameworks import ROOT
from common.model import own_network, spec
from common.model.entry import Entry
from common.model.layers import Function
from common.model.optimizer import Adam
from common.model.recipe import Recipe
from common.model.spec import ModelSpec

LAYERS = (
    spec.Conv(4, (3, 5), padding=(0, 2), stride=(2, 1)),
    spec.MaxPool(3, 2, padding=1),
    spec.Concat(*((spec.Conv(2, 1), spec.Activation(name)) for name in get_args(Function))),
    spec.Conv(16, 3, dilation=(1, 2), padding=(1, 2), groups=16),
    spec.Conv(6, 2, dilation=2),
    spec.AvgPool((3, 2), (1, 2), padding=(1, 0)),
    spec.Residual(
        spec.Conv(6, 3, padding=1, bias=False),
        spec.BatchNorm(),
        spec.Activation(),
        spec.Residual(spec.Conv(6, 1), spec.Dropout(0.25)),
        shortcut=(spec.Conv(6, 1), spec.GroupNorm(3)),
    ),
    spec.Conv(6, 3, padding=1, bias=False),
    spec.BatchNorm(affine=False),
    spec.Concat((spec.Conv(2, 1),), (), (spec.GroupNorm(1), spec.Conv(3, 3, padding=1))),
    spec.Concat((spec.Flatten(), spec.Dense(12)), (spec.Flatten(),), (spec.GlobalAvgPool(),)),
    spec.Dense(10),
    spec.Residual(spec.Dense(10)),
)
RECIPE = Recipe(Adam(), lr=1e-2, batch_size=16, epochs=1)
VOCABULARY = Entry(ModelSpec("vocabulary", LAYERS), RECIPE)
"""A small network of the kinds and settings of layers that the zoo lacks."""

EXAMPLES = [own_network.load(str(path)) for path in sorted(ROOT.glob("docs/examples/*.py"))]
"""The networks that the documentation shows."""


def without_dropout(network: ModelSpec) -> ModelSpec:
    """The network without its random layers, for comparisons that must be exact."""
    random = (spec.Dropout, spec.SpatialDropout)
    layers = tuple(layer for layer in network.layers if not isinstance(layer, random))
    return dataclasses.replace(network, layers=layers)
