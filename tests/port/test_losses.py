"""A loss is described by what it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from common.port import loss, losses
from common.port.losses import Description

GENERATOR = np.random.default_rng(0)
CLASSES = [(GENERATOR.normal(size=(n, 5)), GENERATOR.integers(0, 5, n)) for n in (8, 4, 4)]
NUMBERS = [(GENERATOR.normal(size=(n, 1)), GENERATOR.integers(0, 2, n).astype(float)) for n in (8, 4, 4)]


def computed(description: Description) -> Callable[..., object]:
    return lambda z, y: losses.value(description, z, y)


CROSS = Description("cross-entropy")
SQUARES = Description("squares")
BINARY = Description("binary-cross-entropy")


@pytest.mark.parametrize(
    "description",
    [
        CROSS,
        replace(CROSS, smoothing=0.1),
        replace(CROSS, smoothing=0.25, reduction="sum"),
        replace(CROSS, reduction="none"),
        replace(CROSS, input="softmax twice"),
        replace(CROSS, input="softmax twice", smoothing=0.1),
    ],
)
def test_a_loss_of_classes_is_described(description: Description) -> None:
    assert losses.describe(computed(description), CLASSES, 1e-12) == description  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "description",
    [
        *(SQUARES, replace(SQUARES, broadcast=True), replace(SQUARES, reduction="sum")),
        *(BINARY, replace(BINARY, broadcast=True), replace(BINARY, input="softmax twice")),
    ],
)
def test_a_loss_of_numbers_is_described(description: Description) -> None:
    assert losses.describe(computed(description), NUMBERS, 1e-12) == description  # type: ignore[arg-type]


def test_what_is_none_of_these_is_not_described() -> None:
    halved = lambda z, y: 0.5 * float(losses.value(CROSS, z, y))  # noqa: E731
    assert losses.describe(halved, CLASSES, 1e-12) is None


def test_by_hand() -> None:
    z, y = np.log(np.array([[0.2, 0.8], [0.5, 0.5]])), np.array([1, 0])
    assert losses.value(CROSS, z, y) == pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2)
    smooth = losses.value(replace(CROSS, smoothing=0.5), z[:1], y[:1])
    assert smooth == pytest.approx(-0.75 * np.log(0.8) - 0.25 * np.log(0.2))
    assert losses.value(replace(SQUARES, broadcast=True), np.array([1.0, 3.0]), np.array([1.0, 3.0])) == 2.0


def test_an_amount_that_differs_by_rounding_is_the_same() -> None:
    first, second = (replace(CROSS, smoothing=amount) for amount in (0.1000004, 0.0999997))
    assert loss._apart(first, second) == []
    assert loss._apart(first, replace(second, reduction="sum")) == ["reduction"]
    assert loss._apart(first, replace(CROSS, smoothing=0.11)) == ["smoothing"]
