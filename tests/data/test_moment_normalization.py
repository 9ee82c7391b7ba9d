"""Moment normalisation: the moments of its definition, and normalised images stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.data.datasets import Dataset
from common.data.moment_normalization import (
    MEAN_HEIGHT,
    MEAN_WIDTH,
    MomentNormalization,
    image_moments,
    normalize,
)

MIDDLE = 13.5


def by_definition(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means, variances and covariance of the positions of pixels, weighted by their brightness."""
    positions = np.nonzero(image)
    rows, columns = (np.repeat(coordinates, image[positions]) for coordinates in positions)
    covariance = np.cov(rows, columns, ddof=0)
    return np.array([rows.mean(), columns.mean(), *np.diag(covariance), covariance[0, 1]])


def test_moments_are_those_of_the_definition(few_digits: Dataset) -> None:
    images = few_digits.test.images[:50]
    expected = [by_definition(image) for image in images]
    np.testing.assert_allclose(image_moments(images), expected, rtol=1e-10, atol=1e-10)


def extents(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Standard deviations of rows and columns, in pixels that are squares, of upright images: (N, 2)."""
    deviations: NDArray[np.float64] = np.sqrt(image_moments(images)[:, 2:4] + 1 / 12)
    return deviations


@pytest.mark.parametrize(
    "normalization",
    [MomentNormalization(), MomentNormalization(0.5, 0.5), MomentNormalization(1.0, 0.3)],
    ids=str,
)
def test_digits_get_the_centre_the_slant_and_the_size_of_the_definition(
    few_digits: Dataset, normalization: MomentNormalization
) -> None:
    """Within the error of bilinear resampling: a thin stroke counts a little too much or too little."""
    images = few_digits.test.images
    normalized = normalize(images, normalization)
    before, after = image_moments(images), image_moments(normalized)
    assert np.abs(before[:, 4] / before[:, 2]).mean() > 0.15
    assert np.abs(after[:, 4] / after[:, 2]).max() < 0.04
    np.testing.assert_allclose(after[:, :2], MIDDLE, atol=0.25)
    upright = extents(normalize(images, MomentNormalization()))
    shares = np.array([normalization.height, normalization.width])
    means = np.array([MEAN_HEIGHT, MEAN_WIDTH])
    np.testing.assert_allclose(extents(normalized), means * (upright / means) ** (1 - shares), atol=0.3)


def test_the_mean_size_is_that_of_deskewed_training_digits(mnist: Dataset) -> None:
    size = extents(normalize(mnist.train.images, MomentNormalization())).mean(axis=0)
    np.testing.assert_allclose(size, [MEAN_HEIGHT, MEAN_WIDTH], atol=0.05)


@pytest.mark.parametrize("slant", [-0.5, 0.25, 1.0])
def test_a_sheared_bar_becomes_straight(slant: float) -> None:
    """Seventeen rows, each shifted along the slant."""
    image = np.zeros((28, 28), np.uint8)
    for row in range(6, 23):
        start = 13 + slant * (row - 14)
        left, fraction = int(np.floor(start)), start % 1
        image[row, left : left + 3] = np.round(255 * np.array([1 - fraction, 1, fraction]))
    moments = image_moments(image[None])[0]
    assert moments[4] / moments[2] == pytest.approx(slant, abs=1e-3)
    bar = normalize(image[None], MomentNormalization())[0].astype(int)
    assert np.ptp(bar[7:22], axis=0).max() <= 2 + 255 * 0.51 * (slant % 1 != 0)
    assert np.ptp(bar[7:22] @ np.arange(28) / bar[7:22].sum(axis=1)) < 0.05


def test_a_dot_has_no_slant_and_moves_to_the_middle() -> None:
    """The middle is between four pixels."""
    dot = np.zeros((1, 28, 28), np.uint8)
    dot[0, 9, 14] = 200
    np.testing.assert_array_equal(normalize(dot, MomentNormalization())[0], np.pad(np.full((2, 2), 50), 13))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_empty_image_stays_empty(share: float) -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    np.testing.assert_array_equal(normalize(images, MomentNormalization(share, share)), images)


def test_a_normalised_image_stays_as_it_is() -> None:
    """A block in the middle; its sides are even, so its centre is between pixels, as the middle is."""
    images = np.pad(np.full((12, 4), 255, np.uint8), ((8, 8), (12, 12)))[None]
    np.testing.assert_array_equal(normalize(images, MomentNormalization()), images)


def test_a_line_one_pixel_wide_does_not_become_infinitely_wide() -> None:
    """A diagonal: deskewed, its columns have the variance of a single pixel."""
    line = np.diag(np.full(28, 255, np.uint8))
    normalized = normalize(line[None], MomentNormalization(0.5, 0.5))[0]
    bright = np.nonzero(normalized.max(axis=0))[0]
    assert 2 <= len(bright) <= 14


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_an_image_does_not_depend_on_the_others(seed: int, count: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    normalized = normalize(images, MomentNormalization(0.5, 0.5))
    assert normalized.shape == images.shape
    assert normalized.dtype == np.uint8
    for image, expected in zip(images, normalized, strict=True):
        np.testing.assert_array_equal(normalize(image[None], MomentNormalization(0.5, 0.5))[0], expected)


def test_images_of_another_size_are_normalised_to_the_same_part_of_them() -> None:
    bar = np.pad(np.full((9, 4), 255, np.uint8), ((9, 10), (11, 13)))
    normalization = MomentNormalization(1.0, 1.0)
    small = normalize(bar[None], normalization)
    large = normalize(np.kron(bar, np.ones((3, 2), np.uint8))[None], normalization)
    assert large.shape == (1, 84, 56)
    np.testing.assert_allclose(extents(large), extents(small) * [3, 2], rtol=0.03)
