"""Deskewing: the shear that its definition asks for, and upright digits left as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.data import Dataset
from common.deskew import deskewed, slants


def slant_by_definition(image: NDArray[np.uint8]) -> float:
    """Covariance of column and row over the variance of the row, each pixel as often as it is bright."""
    rows, columns = np.nonzero(image)
    often = image[rows, columns]
    rows, columns = np.repeat(rows, often), np.repeat(columns, often)
    return float(np.cov(rows, columns)[0, 1] / np.var(rows, ddof=1))


def test_the_slant_is_that_of_the_definition(few_digits: Dataset) -> None:
    images = few_digits.test.images[:50]
    expected = [slant_by_definition(image) for image in images]
    np.testing.assert_allclose(slants(images)[0], expected, rtol=1e-10, atol=1e-12)


def test_digits_stand_upright_in_their_place(few_digits: Dataset) -> None:
    """But for what rounding to whole bytes leaves."""
    images = few_digits.test.images
    slant, row = slants(images)
    upright, same_row = slants(deskewed(images))
    assert np.abs(slant).mean() > 0.15
    assert np.abs(upright).max() < 0.01
    np.testing.assert_allclose(same_row, row, atol=0.02)


@pytest.mark.parametrize("slant", [-0.5, 0.25, 1.0])
def test_a_sheared_bar_becomes_straight(slant: float) -> None:
    """Seventeen rows, each moved by its place along the slant."""
    image = np.zeros((28, 28), np.uint8)
    for row in range(6, 23):
        place = 13 + slant * (row - 14)
        left, part = int(np.floor(place)), place % 1
        image[row, left : left + 3] = np.round(255 * np.array([1 - part, 1, part]))
    assert slants(image[None])[0][0] == pytest.approx(slant, abs=1e-3)
    bar = deskewed(image[None])[0].astype(int)
    assert np.ptp(bar[7:22], axis=0).max() <= 2 + 255 * 0.51 * (slant % 1 != 0)
    assert np.ptp(bar[7:22] @ np.arange(28) / bar[7:22].sum(axis=1)) < 0.05


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((28, 28)),
        200.0 * np.outer(np.eye(28)[9], np.eye(28)[14]),
        np.pad(np.full((12, 4), 255), ((8, 8), (12, 12))),
    ],
    ids=["empty", "a dot", "upright"],
)
def test_what_has_no_slant_stays_as_it_is(image: NDArray[np.float64]) -> None:
    images = image.astype(np.uint8)[None]
    np.testing.assert_array_equal(deskewed(images), images)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_each_image_by_itself(seed: int, count: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    together = deskewed(images)
    assert together.shape == images.shape
    assert together.dtype == np.uint8
    for image, upright in zip(images, together, strict=True):
        np.testing.assert_array_equal(deskewed(image[None])[0], upright)
