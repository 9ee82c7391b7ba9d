"""Ink of the one digit in a drawing or a photo: what differs from the paper around it.

The paper is flat, as on the page, or has a local level, a median over a wide window, which follows light
that changes across the paper and the edge of a shadow; whichever separates ink from paper better. Ink is on
the side of it, lighter or darker, with the stronger contrast. The largest connected parts are the digit;
specks, the lines of ruled paper and noise are not. Of a coloured picture that grey is used in which the digit
is strongest: luminance, unless a channel shows much more, as of red ink on green paper as bright.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
MUCH_STRONGER = 1.3  # than in luminance, which has the least noise: the digit in a channel
FAINT = 0.15  # of the strongest ink; anything fainter is paper
LEAST_CONTRAST = 20  # shades of 255
NOISE = 6  # standard deviations of the paper's noise that no ink is weaker than
SMALLEST_PART = 0.1  # of the ink of the largest part
MOST_OF_EDGE = 0.25
LONG_LINE = 0.9  # of the picture's width: rows with so much ink are lines of the paper
THICKEST_LINE = 0.05  # of the picture's height
STEEPEST_LINE = 0.05  # height over width
Array = NDArray[Any]


def digit_ink(picture: Array) -> Array | None:
    """Ink in each pixel of a grey (H, W) or coloured picture (H, W, 3), 0 to 1, outside of the digit 0; None
    without a digit."""
    if picture.ndim == 2:
        ink, strongest = _digit(picture)
    else:
        ink, strongest = _digit(picture @ LUMINANCE)
        much_stronger = MUCH_STRONGER * strongest
        for channel in np.moveaxis(picture, 2, 0):
            if np.ptp(channel) > max(much_stronger, strongest):  # no ink of it is stronger than its range
                in_channel = _digit(channel)
                if in_channel[1] > max(much_stronger, strongest):
                    ink, strongest = in_channel
    return np.asarray((ink / strongest).clip(0, 1)) if strongest else None


def _digit(picture: Array) -> tuple[Array, float]:
    """The digit's ink in a grey picture, in shades, and its strength; that is 0 where there is no digit."""
    ink = _ink(picture)
    noise = _noise(picture)
    ink = _without_lines(_without_lines(ink).T).T
    digit = _largest_parts(ink, max(LEAST_CONTRAST, NOISE * noise))
    if not digit.any():
        return ink, 0.0
    strongest = float(np.quantile(ink[digit], 0.95))
    # Strokes have soft edges, which are fainter than the parts.
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    edge = max(1, math.ceil(max(np.ptp(rows), np.ptp(columns)) / 15))
    near = cv2.dilate(digit.astype(np.uint8), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)) > 0
    ink[~near | (ink < max(FAINT * strongest, 3 * noise))] = 0
    return ink, strongest


def _ink(picture: Array) -> Array:
    """Contrast with the paper, on the side, lighter or darker, where it is stronger; 0 on the other."""
    flat, local = (
        _stronger_side(picture - paper) for paper in (np.median(_edge(picture)), _local_paper(picture))
    )
    # What covers much of the edge of a picture is no digit, but a shadow or a table.
    if np.mean(_edge(flat) > _threshold(flat)) > MOST_OF_EDGE:
        return local
    return flat if _separation(flat) + 0.01 >= _separation(local) else local  # flat if they hardly differ


def _stronger_side(contrast: Array) -> Array:
    # Cubes, as a stroke is a small part of the picture, and noise is on both sides.
    cubes = contrast * contrast * contrast
    return np.asarray((contrast if cubes.sum() > 0 else -contrast).clip(0))


def _edge(picture: Array) -> Array:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _noise(picture: Array) -> float:
    """The standard deviation of a camera's noise, from the differences of neighbours, few at strokes."""
    return float(np.median(np.abs(np.diff(picture)))) / 0.954


def _separation(ink: Array) -> float:
    """The share of the variance of `ink` that is between strong and weak ink, 0 to 1."""
    strong = ink > _threshold(ink)
    share = float(strong.mean())
    if share in (0, 1):
        return 0.0
    between = share * (1 - share) * float(ink[strong].mean() - ink[~strong].mean()) ** 2
    return between / float(ink.var())


def _local_paper(picture: Array) -> Array:
    """The level of the paper at each pixel: a median over a wide window, then a narrower one without ink."""
    wide = _median(picture, max(picture.shape) // 2)
    contrast = np.abs(picture - wide)
    strong = _threshold(contrast)
    side = max(3, max(picture.shape) // 40)
    inked = cv2.dilate((contrast > strong).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return _median(np.where(inked, wide, picture), max(picture.shape) // 4)


def _median(picture: Array, side: int) -> Array:
    """The median over a square window around each pixel, in whole shades; large pictures are shrunk."""
    shrink = max(1.0, max(picture.shape) / 256)
    height, width = (max(1, round(length / shrink)) for length in picture.shape)
    small = np.asarray(
        cv2.resize(np.round(picture).astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    )
    window = max(3, round(side / shrink) | 1)
    margin = window // 2
    padded = np.pad(small, margin, mode="symmetric")
    median = cv2.medianBlur(padded, window)[margin : margin + height, margin : margin + width]
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.resize(median, size, interpolation=cv2.INTER_LINEAR), np.float64)


def _threshold(ink: Array) -> float:
    """Otsu's: the level that separates weak and strong values best."""
    strongest = float(ink.max())
    if strongest == 0:
        return 0.0
    level, _ = cv2.threshold((ink * (255 / strongest)).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return float(level) * strongest / 255


def _without_lines(ink: Array) -> Array:
    """`ink` without the thin lines that cross it from the left edge to the right one.

    A line is the level that nearly all of a row has, ends included, along the slope for which that is most.
    """
    height, width = ink.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)
    thick = np.ones((max(2, math.ceil(THICKEST_LINE * height)), 1), np.uint8)
    steepest = math.ceil(STEEPEST_LINE * width)
    ends = max(1, width // 40)
    if not ink[:, :ends].any() or not ink[:, -ends:].any():
        return ink  # as of most drawings: no line reaches both edges
    best, lines = 0.0, np.zeros_like(ink)
    for drop in range(-steepest, steepest + 1, max(1, steepest // 8)):
        shifts = np.round(columns * drop / width).astype(int)
        along = ink[(rows + shifts).clip(0, height - 1), columns]
        level = np.zeros(height)
        # The quantile of a row with more zeros is 0.
        inked = (along == 0).sum(axis=1) <= (1 - LONG_LINE) * (width - 1) + 1
        level[inked] = np.quantile(along[inked], 1 - LONG_LINE, axis=1) if inked.any() else 0
        level = np.minimum(level, np.minimum(along[:, :ends].mean(axis=1), along[:, -ends:].mean(axis=1)))
        level = cv2.morphologyEx(level[:, None], cv2.MORPH_TOPHAT, thick)[:, 0]
        if (level**2).sum() > best:
            best = float((level**2).sum())
            lines = level[(rows - shifts).clip(0, height - 1)]
    return (ink - lines).clip(0)


def _largest_parts(ink: Array, least: float) -> NDArray[np.bool_]:
    """Mask of the strong ink of the digit: the connected part with most ink, and those not much smaller."""
    smooth = np.asarray(cv2.GaussianBlur(ink, (3, 3), 0)) if min(ink.shape) > 56 else ink
    strong = (smooth > max(_threshold(smooth), least / 2)).astype(np.uint8)
    count, part = cv2.connectedComponents(strong, connectivity=8)
    amount = np.bincount(part.ravel(), weights=ink.ravel(), minlength=count)
    amount[0] = 0
    peak = np.zeros(count)
    np.maximum.at(peak, part.ravel(), ink.ravel())
    amount[peak < least] = 0
    return np.asarray((amount[part] >= SMALLEST_PART * amount.max()) & (amount[part] > 0))
