"""A drawing or a photo becomes an image as MNIST's were made: why networks that know MNIST fail without it.

White on black; the digit scaled into a box of 20 x 20 pixels with its proportions kept, antialiased; the box
put into 28 x 28 so that the digit's centre of mass is in the middle (LeCun, Cortes and Burges). The middle is
pixel 14, from 0: that is where the mean of the digits' centres is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE, BOX, MIDDLE = 28, 20, 14
SMALLEST, LARGEST = 8, 1024  # sides of what is taken
FAINT = 0.15  # of the darkest ink; below it is paper
Array = NDArray[Any]


class DrawingError(ValueError):
    """A picture with no digit to be found in it; the message is for who drew it."""


def to_mnist(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A grey picture (H, W), 0 black to 255 white, as MNIST has digits: (28, 28), white on black.

    Dark on light is inverted. Raises DrawingError where there is nothing, or not the shape of a picture.
    """
    if picture.ndim != 2 or not all(SMALLEST <= side <= LARGEST for side in picture.shape):
        raise DrawingError(
            f"A picture has {SMALLEST} to {LARGEST} pixels a side; this one's shape is {picture.shape}."
        )
    if not np.isfinite(picture).all() or picture.min() < 0 or picture.max() > 255:
        raise DrawingError("A picture's values are numbers from 0 to 255.")
    ink = _ink(picture)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _centred(_boxed(digit))


def _ink(picture: Array) -> Array:
    """How much ink there is in each pixel, 0 to 1, the paper being 0 whatever its shade."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    paper = float(np.median(edge))
    ink = (paper - picture) if paper > 127 else (picture - paper)
    strongest = float(ink.max())
    if strongest < 20:
        raise DrawingError("There is nothing drawn yet.")
    ink = ink.clip(0) / strongest
    # Shadows of a photo and noise of a camera are fainter than ink.
    ink[ink < FAINT] = 0
    return ink


def _boxed(digit: Array) -> Array:
    """The digit with its longer side BOX."""
    import cv2  # here: most of the project need not load it

    scale = BOX / max(digit.shape)
    height, width = (max(1, math.floor(side * scale + 0.5)) for side in digit.shape)
    # Means of areas on the way down; on the way up there is nothing to be averaged.
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    boxed: Array = np.asarray(cv2.resize(digit, (width, height), interpolation=way))
    return np.asarray(boxed / boxed.max())


def _centred(boxed: Array) -> NDArray[np.uint8]:
    """In the full image, moved by whole pixels, no part of it lost."""
    image = np.zeros((SIDE, SIDE))
    places = []
    for axis, length in enumerate(boxed.shape):
        weights = boxed.sum(axis=1 - axis)
        centre = float((np.arange(length) * weights).sum() / weights.sum())
        places.append(min(max(round(MIDDLE - centre), 0), SIDE - length))
    top, left = places
    image[top : top + boxed.shape[0], left : left + boxed.shape[1]] = boxed
    return np.round(255 * image).astype(np.uint8)
