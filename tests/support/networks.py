"""Networks for comparisons: of the kinds of layers that the zoo lacks, and changed ones."""

from __future__ import annotations

import dataclasses
from typing import get_args

from common.model import spec
from common.model.entry import PROJECT, Entry
from common.model.layers import Function
from common.model.optimizer import Adam
from common.model.recipe import Recipe
from common.model.spec import ModelSpec

_ACTIVATIONS = [layer for name in get_args(Function) for layer in (spec.Conv(4, 1), spec.Activation(name))]
VOCABULARY = {
    "activations": (spec.Conv(4, 5, stride=4), *_ACTIVATIONS, spec.Flatten(), spec.Dense(10)),
    "windows": (
        spec.Conv(4, (3, 5), padding=(0, 2), stride=(2, 1)),
        spec.MaxPool(3, 2, padding=1),
        spec.Conv(4, 3, dilation=(1, 2), padding=(1, 2), groups=4),
        spec.Conv(6, 2, dilation=2),
        spec.AvgPool((3, 2), (1, 2), padding=(1, 0)),
        spec.Flatten(),
        spec.Dense(10),
    ),
    "nested": (
        spec.Conv(4, 5, stride=4),
        spec.Residual(
            spec.Conv(6, 3, padding=1, bias=False),
            spec.BatchNorm(),
            spec.Activation(),
            spec.Residual(spec.Conv(6, 1), spec.Dropout(0.25)),
            shortcut=(spec.Conv(6, 1), spec.GroupNorm(3)),
        ),
        spec.Concat((spec.Conv(2, 1),), (), (spec.GroupNorm(1), spec.Conv(3, 3, padding=1))),
        spec.Concat((spec.Flatten(), spec.Dense(12)), (spec.Flatten(),), (spec.GlobalAvgPool(),)),
        spec.Dense(10),
        spec.Residual(spec.Dense(10)),
    ),
}
"""Layers of small networks, in which each kind and setting that the zoo lacks trains."""


def vocabulary() -> list[Entry]:
    """The networks of VOCABULARY, with a recipe."""
    recipe = Recipe(Adam(), lr=1e-2, batch_size=16, epochs=1)
    return [Entry(ModelSpec(name, layers), recipe, PROJECT) for name, layers in VOCABULARY.items()]


def without_dropout(network: ModelSpec) -> ModelSpec:
    """The network without its random layers, for comparisons that must be exact."""
    random = (spec.Dropout, spec.SpatialDropout)
    layers = tuple(layer for layer in network.layers if not isinstance(layer, random))
    return dataclasses.replace(network, layers=layers)
