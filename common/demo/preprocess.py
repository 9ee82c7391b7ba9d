"""Preprocessing of a drawing or a photo as MNIST's digits were: a network trained on MNIST fails without it.

White on black; the digit scaled into a box of 20 x 20 pixels with its proportions kept, antialiased; the box
placed in 28 x 28 so that the digit's centre of mass is in the middle (LeCun, Cortes and Burges). The middle
is pixel 14, counted from 0, where the mean of the MNIST digits' centres is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE, BOX, MIDDLE = 28, 20, 14
SMALLEST, LARGEST, LARGEST_COLOURED = 8, 1024, 512  # sides of an accepted picture, in pixels
Array = NDArray[Any]


class DrawingError(ValueError):
    """A picture in which no digit can be found; the message is for the user who drew it."""


def to_mnist(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The digit (28, 28), white on black, in a grey picture (H, W) from 0, black, to 255, white, or in a
    coloured one (H, W, 3) of red, green and blue.

    Dark on light is inverted. Raises DrawingError for an empty picture, and for a wrong shape or value.
    """
    height, width, *channels = picture.shape if picture.ndim > 1 else (0, 0)
    largest = LARGEST_COLOURED if channels else LARGEST
    if channels not in ([], [3]) or not SMALLEST <= min(height, width) <= max(height, width) <= largest:
        raise DrawingError(
            f"A picture has {SMALLEST} to {largest} pixels a side; this one's shape is {picture.shape}."
        )
    if not np.isfinite(picture).all() or picture.min() < 0 or picture.max() > 255:
        raise DrawingError("A picture's values are numbers from 0 to 255.")
    from common.demo.ink import digit_ink  # here, as most of the project does not need OpenCV

    ink = digit_ink(picture)
    if ink is None:
        raise DrawingError("There is nothing drawn yet.")
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _centre(_scale_to_box(digit))


def _scale_to_box(digit: Array) -> Array:
    """The digit, scaled so that its longer side is BOX."""
    import cv2  # here, as most of the project does not need it

    scale = BOX / max(digit.shape)
    height, width = (max(1, math.floor(side * scale + 0.5)) for side in digit.shape)
    # Areas are averaged when shrinking; there is nothing to average when enlarging.
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    boxed: Array = np.asarray(cv2.resize(digit, (width, height), interpolation=interpolation))
    return np.asarray(boxed / boxed.max())


def _centre(boxed: Array) -> NDArray[np.uint8]:
    """The full image with the digit's centre of mass in the middle: moved by whole pixels, never cut off."""
    image = np.zeros((SIDE, SIDE))
    corner = []
    for axis, length in enumerate(boxed.shape):
        weights = boxed.sum(axis=1 - axis)
        centre = float((np.arange(length) * weights).sum() / weights.sum())
        corner.append(min(max(round(MIDDLE - centre), 0), SIDE - length))
    top, left = corner
    image[top : top + boxed.shape[0], left : left + boxed.shape[1]] = boxed
    return np.round(255 * image).astype(np.uint8)
