"""Slanted digits set upright, as LeCun et al. (1998) did with MNIST: each image is sheared along its rows
until its principal axis is vertical."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.augment import warp

_TOGETHER = 4096  # images whose moments are computed at once


def slants(images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By how many columns a row of each image (N, H, W) is to the right for each row it is below another, and
    the row where its centre of mass is; both (N,). What has its mass in one row, or none, has no slant.

    Of the second moments about the centre of mass, that of rows with columns over that of rows.
    """
    height, width = images.shape[1:]
    row, column = (axis.ravel() for axis in np.mgrid[:height, :width].astype(np.float64))
    powers = np.stack([np.ones_like(row), row, column, row * row, row * column], axis=1)
    # Whole numbers far below 2^53: exact, in whatever order they are added.
    sums = [
        images[start : start + _TOGETHER].reshape(-1, height * width).astype(np.float64) @ powers
        for start in range(0, len(images), _TOGETHER)
    ]
    mass, rows, columns, rows_rows, rows_columns = np.concatenate([np.empty((0, 5)), *sums]).T
    # Both times the mass, squared, which keeps them whole.
    spread = mass * rows_rows - rows * rows
    together = mass * rows_columns - rows * columns
    slant = np.divide(together, spread, out=np.zeros_like(spread), where=spread > 0)
    centre = np.divide(rows, mass, out=np.zeros_like(mass), where=mass > 0)
    return slant, centre


def deskewed(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`images` (N, H, W) upright, resampled bilinearly; each centre of mass stays in its place."""
    slant, centre = slants(images)
    maps = np.tile(np.eye(2, 3), (len(images), 1, 1))
    maps[:, 0, 1] = slant
    maps[:, 0, 2] = -slant * centre
    return warp(images, maps)
