"""Operations are paired in order by kind and shape, arrays in the layout that fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.port_operations import operation

from common.port import pairing
from common.port.pairing import Operation


def dense(index: int, out: int, features: int = 4, **changes: Any) -> Operation:
    weights = {"weight": [out, features], "bias": [out]}
    return operation(index, "dense", weights=weights, outputs=np.zeros((2, out)), **changes)


def relu(index: int) -> Operation:
    return operation(index, "activation", attributes={"function": "relu"})


def names(steps: list[pairing.Step]) -> list[str]:
    return [step.name for step in steps]


def test_what_one_side_lacks_stands_alone() -> None:
    left = [dense(0, 4), relu(1), dense(2, 4), relu(3), dense(4, 3)]
    right = [dense(0, 4), dense(1, 4), relu(2), dense(3, 3), operation(4, "identity")]
    steps = pairing.align(left, right)
    assert names(steps) == [
        "dense0 / dense0",
        "activation1",
        "dense2 / dense1",
        "activation3 / activation2",
        "dense4 / dense3",
    ]


def test_a_layer_of_another_shape_is_no_pair() -> None:
    steps = pairing.align([dense(0, 4), dense(1, 3)], [dense(0, 4), dense(1, 5)])
    assert names(steps) == ["dense0 / dense0", "dense1", "dense1"]
    assert set(pairing.names(steps, {}).partners) == {"dense0.weight", "dense0.bias"}


def test_a_missing_bias_leaves_the_pair() -> None:
    bare = operation(0, "dense", weights={"weight": [4, 4]})
    found = pairing.names(pairing.align([dense(0, 4)], [bare]), {})
    assert found.partners == {"dense0.weight": "dense0.weight"}


@pytest.fixture
def images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(2, 3, 2, 5))


def test_arrays_are_compared_in_the_layout_that_fits(images: np.ndarray[Any, Any]) -> None:
    last = np.moveaxis(images, 1, -1)
    assert pairing.closest(images, last) == (0.0, "channels moved")
    flat = (3, 2, 5)
    features, other = images.reshape(2, -1), last.reshape(2, -1)
    assert pairing.closest(features, other)[0] > 0.1
    assert pairing.closest(features, other, [flat]) == (0.0, "flattened")
    assert pairing.closest(features, features, [flat]) == (0.0, "same")
    np.testing.assert_array_equal(pairing.features_to_keras(features, flat), other)
    assert pairing.closest(images, last[:, :1]) == (np.inf, "")


def test_the_columns_of_a_kernel_after_flatten_follow_the_order_of_its_inputs(
    images: np.ndarray[Any, Any],
) -> None:
    last = np.moveaxis(images, 1, -1)
    flat = (3, 2, 5)
    left = dense(0, 30, 30, inputs=images.reshape(2, -1))
    # An offset and a scale of one side do not hide the order.
    right = dense(0, 30, 30, inputs=3 * last.reshape(2, -1) + 1)
    found = pairing.names([pairing.Step(left, right)], {flat: False})
    assert found.flats == {"dense0.weight": flat}
    kernel = np.random.default_rng(1).normal(size=(30, 30))
    carried = found.to_keras({"dense0.weight": kernel, "dense0.bias": np.arange(30.0)})
    np.testing.assert_allclose(
        last.reshape(2, -1) @ carried["dense0.weight"].T, images.reshape(2, -1) @ kernel.T
    )
    np.testing.assert_array_equal(carried["dense0.bias"], np.arange(30.0))
    np.testing.assert_array_equal(found.to_pytorch(carried)["dense0.weight"], kernel)
    same = dense(0, 30, 30, inputs=images.reshape(2, -1))
    assert pairing.names([pairing.Step(left, same)], {flat: True}).flats == {}
    other = dense(0, 30, 30, inputs=np.random.default_rng(2).normal(size=(2, 30)))
    for by_layout in (False, True):  # what differs shows no order: the layouts decide
        found = pairing.names([pairing.Step(left, other)], {flat: by_layout})
        assert bool(found.flats) == by_layout


def test_a_difference_is_relative_and_never_hides_what_is_not_finite() -> None:
    assert pairing.difference(np.array([1.0, -4.0]), np.array([1.0, -2.0])) == 0.5
    assert pairing.difference(np.zeros(3), np.zeros(3)) == 0.0
    assert pairing.difference(np.array([np.nan, 1.0]), np.array([1.0, 1.0])) == np.inf
    assert pairing.difference(np.array([np.nan]), np.array([np.nan])) == 0.0
