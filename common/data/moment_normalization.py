"""Digits brought to like moments before a network sees them: upright, in the middle, of like size.

Slant and place as LeCun et al. (1998) did with MNIST; size from the second moments, and only part of the way,
so that a one stays narrow, as Liu et al. (Pattern Recognition 37, 2004) map the aspect ratio by its root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.augment import warp

MEAN_HEIGHT, MEAN_WIDTH = 5.5, 3.5  # pixels: what an upright training digit has, on average
_TOGETHER = 4096  # images whose moments are computed at once


@dataclass(frozen=True)
class MomentNormalization:
    """Each image is sheared along its rows until its principal axis is vertical, and its centre of mass moved
    to the middle. An upright digit whose standard deviations about that are h rows and w columns gets
    HEIGHT (h / HEIGHT)^(1 - `height`) and WIDTH (w / WIDTH)^(1 - `width`): at 0 its own, at 1 everyone's.
    """

    kind: ClassVar[str] = "Moments"

    height: float = 0.0
    width: float = 0.0


def image_moments(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """For each of `images` (N, H, W) its centre of mass as row and column, the variances of rows and columns
    about it and their covariance, in pixels; (N, 5). An empty image has its centre in the middle."""
    height, width = images.shape[1:]
    row, column = (axis.ravel() for axis in np.mgrid[:height, :width].astype(np.float64))
    powers = np.stack([np.ones_like(row), row, column, row * row, column * column, row * column], axis=1)
    # Whole numbers far below 2^53: exact, in whatever order they are added.
    sums = [
        images[start : start + _TOGETHER].reshape(-1, height * width).astype(np.float64) @ powers
        for start in range(0, len(images), _TOGETHER)
    ]
    mass, rows, columns, rows_rows, columns_columns, rows_columns = np.concatenate(
        [np.empty((0, 6)), *sums]
    ).T
    some = np.where(mass > 0, mass, 1.0)
    return np.stack(
        [
            np.where(mass > 0, rows / some, (height - 1) / 2),
            np.where(mass > 0, columns / some, (width - 1) / 2),
            # Both terms times the mass, squared, which keeps them whole.
            (mass * rows_rows - rows * rows) / some**2,
            (mass * columns_columns - columns * columns) / some**2,
            (mass * rows_columns - rows * columns) / some**2,
        ],
        axis=1,
    )


def normalize(images: NDArray[np.uint8], to: MomentNormalization) -> NDArray[np.uint8]:
    """`images` (N, H, W) brought `to` these moments, resampled bilinearly once, zeros outside."""
    row, column, rows, columns, both = image_moments(images).T
    slant = np.divide(both, rows, out=np.zeros_like(both), where=rows > 0)
    down = _steps(rows, MEAN_HEIGHT, to.height)
    across = _steps(columns - slant * both, MEAN_WIDTH, to.width)
    # A step down or across in the upright image is this many in the original, which it also slants.
    linear = np.stack([across, slant * down, np.zeros_like(down), down], axis=1).reshape(-1, 2, 2)
    middle = (np.array(images.shape[:0:-1]) - 1) / 2
    shift = np.stack([column, row], axis=1) - linear @ middle
    return warp(images, np.concatenate([linear, shift[:, :, None]], axis=2))


def _steps(variance: NDArray[np.float64], usual: float, share: float) -> NDArray[np.float64]:
    """Pixels of an original for a pixel of what it is resized to. A pixel is a square, not a point, and has a
    variance of 1 / 12 in itself: without it a line of them would become infinitely broad."""
    return np.power(np.sqrt(variance + 1 / 12) / usual, share)
