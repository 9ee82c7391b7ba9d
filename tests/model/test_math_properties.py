"""Properties of the formulas of docs/math.md that hold for any numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference
from support.math_page import agree, numbers

from common.model.optimizer import SGD, Adadelta, Adam

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(4, 9)
few = settings(max_examples=25)


@few
@given(SEEDS, st.integers(1, 2), st.integers(0, 2), st.integers(1, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_convolution_is_linear_in_the_image(
    seed: int, groups: int, padding: int, stride: int, a: float, b: float
) -> None:
    first, second = numbers(2, 4, 5, 6, seed=seed), numbers(2, 4, 5, 6, seed=seed + 1)
    w = numbers(6, 4 // groups, 3, 3, seed=seed)

    def layer(x: np.ndarray) -> np.ndarray:
        return reference.conv(x, w, padding=padding, stride=stride, groups=groups)

    np.testing.assert_allclose(
        layer(a * first + b * second), a * layer(first) + b * layer(second), atol=1e-11
    )


@few
@given(SEEDS, st.integers(1, 3), st.integers(0, 4), st.integers(0, 4))
def test_a_shifted_image_gives_a_shifted_output(seed: int, size: int, down: int, right: int) -> None:
    """By any number of pixels for a convolution, by whole squares for a pool."""
    x, w = numbers(1, 2, 16, 16, seed=seed), numbers(3, 2, 3, 3, seed=seed)
    shifted = reference.conv(x[:, :, down:, right:], w)
    agree(shifted, reference.conv(x, w)[:, :, down:, right:])
    pooled = reference.max_pool(x[:, :, size * down :, size * right :], size)
    np.testing.assert_array_equal(pooled, reference.max_pool(x, size)[:, :, down:, right:])


@few
@given(SEEDS, st.integers(2, 6), st.floats(-100, 100), st.floats(0.1, 100))
def test_normalised_batch_has_mean_0_and_variance_1(
    seed: int, images: int, shift: float, scale: float
) -> None:
    x = shift + scale * numbers(images, 3, 4, 4, seed=seed)
    zeros, ones = np.zeros(3), np.ones(3)
    y, mean, var = reference.batch_norm_training(x, ones, zeros, zeros, ones, eps=1e-9, momentum=1.0)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-9)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-5)
    # With momentum 1 the running statistics are the batch's, but for the factor m / (m - 1) of the variance.
    m = x[:, 0].size
    again = reference.batch_norm(x, ones, zeros, mean, var, eps=1e-9)
    np.testing.assert_allclose(again, y * np.sqrt((m - 1) / m), rtol=1e-5, atol=1e-9)


@few
@given(st.data(), st.integers(1, 5), SIDES, SIDES)
def test_flatten_puts_each_value_where_the_index_formula_says(
    data: st.DataObject, channels: int, height: int, width: int
) -> None:
    c = data.draw(st.integers(0, channels - 1))
    i = data.draw(st.integers(0, height - 1))
    j = data.draw(st.integers(0, width - 1))
    x = np.zeros((1, channels, height, width))
    x[0, c, i, j] = 1
    assert np.flatnonzero(reference.flatten(x)[0]).tolist() == [(c * height + i) * width + j]


@few
@given(SEEDS, st.floats(-1e3, 1e3))
def test_cross_entropy_ignores_a_constant_added_to_all_logits(seed: int, constant: float) -> None:
    logits, labels = numbers(5, 4, seed=seed), np.array([0, 1, 2, 3, 0])
    loss = reference.cross_entropy(logits, labels)
    np.testing.assert_allclose(reference.cross_entropy(logits + constant, labels), loss, atol=1e-11)


@few
@given(SEEDS, st.sampled_from([SGD(momentum=0.9), SGD(momentum=0.9, nesterov=True), Adam(), Adadelta()]))
def test_every_update_rule_descends(seed: int, optimizer: SGD | Adam | Adadelta) -> None:
    """Downhill, with the right sign, from a numerical gradient of the loss of a small dense layer."""
    x, labels = numbers(6, 4, seed=seed), np.array([0, 1, 2, 0, 1, 2])
    weights = {"dense1.weight": numbers(3, 4, seed=seed)}

    def loss(w: np.ndarray) -> float:
        return reference.cross_entropy(reference.dense(x, w), labels)

    slots = reference.initial_slots(optimizer, {"dense1.weight": (3, 4)})
    before = loss(weights["dense1.weight"])
    for step in range(1, 4):
        w = weights["dense1.weight"]
        gradient = np.zeros_like(w)
        for index in np.ndindex(*w.shape):
            nudge = np.zeros_like(w)
            nudge[index] = 1e-5
            gradient[index] = (loss(w + nudge) - loss(w - nudge)) / 2e-5
        weights, slots = reference.optimizer_step(
            optimizer, step, weights, {"dense1.weight": gradient}, slots, lr=1e-3
        )
    assert loss(weights["dense1.weight"]) < before
