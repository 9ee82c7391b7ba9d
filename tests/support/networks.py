"""Networks changed for comparisons."""

from __future__ import annotations

import dataclasses

from common.model import spec
from common.model.spec import ModelSpec


def without_dropout(network: ModelSpec) -> ModelSpec:
    """The network without its random layers, for comparisons that must be exact."""
    random = (spec.Dropout, spec.SpatialDropout)
    layers = tuple(layer for layer in network.layers if not isinstance(layer, random))
    return dataclasses.replace(network, layers=layers)
