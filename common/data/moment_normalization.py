"""Moment normalisation: every digit is deskewed, centred and partly rescaled before training and testing.

Deskewing and centring as LeCun et al. (1998) did for MNIST. The size is normalised by the second moments, and
only in part, so that a one stays narrow, as Liu et al. (Pattern Recognition 37, 2004) map the aspect ratio by
its root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.checked import Between, Checked
from common.data.augment import warp
from common.data.idx import SIDE

MEAN_HEIGHT, MEAN_WIDTH = 5.5, 3.5
"""Mean standard deviations of the rows and columns of MNIST's deskewed training digits, in pixels of its
28 x 28; in images of another size as many 28ths of the height and of the width."""

_CHUNK = 4096 * SIDE**2  # pixels whose moments are computed in one product


@dataclass(frozen=True)
class MomentNormalization(Checked):
    """Shears each image along its rows until its principal axis is vertical, moves its centre of mass to the
    middle, and rescales it: a deskewed digit with standard deviations of h rows and w columns gets
    MEAN_HEIGHT (h / MEAN_HEIGHT)^(1 - `height`) and MEAN_WIDTH (w / MEAN_WIDTH)^(1 - `width`). At 0 it keeps
    its size, at 1 all digits have the same.
    """

    kind: ClassVar[str] = "Moments"

    height: Annotated[float, Between(0, 1)] = 0.0
    width: Annotated[float, Between(0, 1)] = 0.0


def image_moments(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Row and column of the centre of mass, variances of rows and columns, covariance, in pixels: (N, 5).

    `images` is (N, H, W); the centre of an empty image is its middle.
    """
    height, width = images.shape[1:]
    row, column = (axis.ravel() for axis in np.mgrid[:height, :width].astype(np.float64))
    powers = np.stack([np.ones_like(row), row, column, row * row, column * column, row * column], axis=1)
    # Integers far below 2^53: exact, in whatever order they are added.
    count = max(1, _CHUNK // (height * width))
    sums = [
        images[start : start + count].reshape(-1, height * width).astype(np.float64) @ powers
        for start in range(0, len(images), count)
    ]
    mass, rows, columns, rows_rows, columns_columns, rows_columns = np.concatenate(
        [np.empty((0, 6)), *sums]
    ).T
    divisor = np.where(mass > 0, mass, 1.0)
    return np.stack(
        [
            np.where(mass > 0, rows / divisor, (height - 1) / 2),
            np.where(mass > 0, columns / divisor, (width - 1) / 2),
            # Both terms are multiplied by the squared mass, which keeps them integers.
            (mass * rows_rows - rows * rows) / divisor**2,
            (mass * columns_columns - columns * columns) / divisor**2,
            (mass * rows_columns - rows * columns) / divisor**2,
        ],
        axis=1,
    )


def normalize(images: NDArray[np.uint8], normalization: MomentNormalization) -> NDArray[np.uint8]:
    """`images` (N, H, W) after moment normalisation, resampled bilinearly once, zeros outside."""
    row, column, row_variance, column_variance, covariance = image_moments(images).T
    slant = np.divide(covariance, row_variance, out=np.zeros_like(covariance), where=row_variance > 0)
    height, width = images.shape[1:]
    vertical = _scale(row_variance, MEAN_HEIGHT * height / SIDE, normalization.height)
    # Deskewing takes the part of the columns' variance that goes with the rows.
    horizontal = _scale(column_variance - slant * covariance, MEAN_WIDTH * width / SIDE, normalization.width)
    # From a pixel of the normalised image to the original's: scaled, and slanted again.
    linear = np.stack([horizontal, slant * vertical, np.zeros_like(vertical), vertical], axis=1)
    linear = linear.reshape(-1, 2, 2)
    middle = (np.array(images.shape[:0:-1]) - 1) / 2
    shift = np.stack([column, row], axis=1) - linear @ middle
    return warp(images, np.concatenate([linear, shift[:, :, None]], axis=2))


def _scale(variance: NDArray[np.float64], mean: float, share: float) -> NDArray[np.float64]:
    """Pixels of the original per pixel of the normalised image, along one axis.

    A pixel is a square, not a point, and has itself a variance of 1 / 12; without it a line one pixel wide
    would become infinitely wide.
    """
    return np.power(np.sqrt(variance + 1 / 12) / mean, share)
