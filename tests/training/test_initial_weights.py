"""Initial weights: names, shapes, bounds, seeds."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest

from common.model.entry import Entry
from common.model.spec import BatchNorm, Conv, Dense, Flatten, ModelSpec
from common.model.zoo import ENTRIES
from common.training import initial_weights

SPEC = ModelSpec(
    "small", (Conv(32, 5, groups=2), BatchNorm(), Flatten(), Dense(50, bias=False)), input_shape=(4, 12, 12)
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_network_has_all_its_arrays(entry: Entry) -> None:
    weights = initial_weights.initial(entry.spec, 1)
    assert {
        name: array.shape for name, array in weights.items()
    } == entry.spec.weights | entry.spec.statistics
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_seed_decides_and_nothing_else() -> None:
    first, again, other = (initial_weights.initial(SPEC, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize(
    "init, bounds",
    [
        (
            "fan-in-uniform",
            {"conv1.weight": sqrt(1 / 50), "conv1.bias": sqrt(1 / 50), "dense1.weight": sqrt(1 / 2048)},
        ),
        (
            "xavier-uniform",
            {"conv1.weight": sqrt(6 / 850), "conv1.bias": 0.0, "dense1.weight": sqrt(6 / 2098)},
        ),
    ],
)
def test_bounds_are_the_published_ones(init: Any, bounds: dict[str, float]) -> None:
    """Fan in of the convolution: 2 channels of 5 x 5; fan out 32 x 25; 32 x 8 x 8 features."""
    weights = initial_weights.initial(replace(SPEC, init=init), 1)
    for name, bound in bounds.items():
        largest = np.abs(weights[name]).max()
        assert largest <= bound
        assert largest >= 0.9 * bound
        assert abs(weights[name].mean()) <= 5 * bound / sqrt(3 * weights[name].size)


def test_batch_norm_starts_as_the_identity() -> None:
    weights = initial_weights.initial(SPEC, 1)
    starts = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
    for name, value in starts.items():
        np.testing.assert_array_equal(weights[f"norm1.{name}"], np.full(32, value))
