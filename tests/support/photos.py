"""Photos of digits as people take them, made from test digits: grey pictures (H, W) from 0, black, to 255,
and coloured ones (H, W, 3) of red, green and blue."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Array = np.ndarray
SIDE = 140  # of the pictures that the page sends, in pixels
DIGIT = 100


def drawn(digit: Array) -> Array:
    """Ink from 0 to 1 where `digit` (28, 28) is drawn: a little off the middle."""
    ink = np.zeros((SIDE, SIDE))
    large = cv2.resize(digit, (DIGIT, DIGIT), interpolation=cv2.INTER_CUBIC).astype(float)
    ink[15 : 15 + DIGIT, 25 : 25 + DIGIT] = large.clip(0, 255) / 255
    return ink


def clean(ink: Array, random: np.random.Generator) -> Array:
    return 255 * ink


def on_white(ink: Array, random: np.random.Generator) -> Array:
    return 255 * (1 - ink)


def dim(ink: Array, random: np.random.Generator) -> Array:
    """Dark ink on dim paper."""
    return _mix(np.full(ink.shape, 120.0), 20, ink)


def light_on_grey(ink: Array, random: np.random.Generator) -> Array:
    """Chalk on a grey board, which is lighter than half of white."""
    return _mix(_noise(np.full(ink.shape, 140.0), random), 250, ink)


def uneven(ink: Array, random: np.random.Generator) -> Array:
    """Paper that is lit from one side."""
    return _mix(np.broadcast_to(np.linspace(200, 140, SIDE), ink.shape), 40, ink)


def lamp(ink: Array, random: np.random.Generator) -> Array:
    """Paper under a lamp at a corner, and the noise of a camera; ink is lit as the paper is."""
    rows, columns = np.indices(ink.shape) / SIDE
    light = 0.35 + 0.65 * np.exp(-1.2 * (rows**2 + columns**2))
    return _noise(light * _mix(np.full(ink.shape, 235.0), 40, ink), random)


def shadow(ink: Array, random: np.random.Generator) -> Array:
    """The right half in a shadow with a sharp edge."""
    paper = np.full(ink.shape, 200.0)
    paper[:, SIDE // 2 :] = 120
    return _mix(paper, 40, ink)


def soft_shadow(ink: Array, random: np.random.Generator) -> Array:
    """A slanting shadow, with a soft edge, over paper and ink; with noise."""
    rows, columns = np.indices(ink.shape)
    edge = 1 / (1 + np.exp(-(columns + 0.4 * rows - random.uniform(60, 140)) / 4))
    return _noise((1 - 0.45 * edge) * _mix(np.full(ink.shape, 215.0), 45, ink), random)


def ruled(ink: Array, random: np.random.Generator) -> Array:
    """Ruled paper."""
    paper = np.full(ink.shape, 215.0)
    for row in range(10, SIDE, 20):
        paper[row : row + 2] = 130
    return _mix(paper, 40, ink)


def squared(ink: Array, random: np.random.Generator) -> Array:
    """Squared paper, a little askew, with noise."""
    paper = np.full((2 * SIDE, 2 * SIDE), 215.0)
    for at in range(10, 2 * SIDE, 24):
        paper[at : at + 2] = 160
        paper[:, at : at + 2] = 160
    turn = cv2.getRotationMatrix2D((SIDE, SIDE), random.uniform(-2, 2), 1)
    turned = cv2.warpAffine(paper, turn, (2 * SIDE, 2 * SIDE), borderValue=215)
    half = SIDE // 2
    return _noise(_mix(turned[half : half + SIDE, half : half + SIDE], 40, ink), random)


def pencil(ink: Array, random: np.random.Generator) -> Array:
    return _mix(np.full(ink.shape, 215.0), 150, ink)


def noisy_pencil(ink: Array, random: np.random.Generator) -> Array:
    """Pencil in uneven light, with noise."""
    light = np.linspace(1, 0.75, SIDE)[:, None]
    return _noise(light * _mix(np.full(ink.shape, 215.0), 150, ink), random)


def specks(ink: Array, random: np.random.Generator) -> Array:
    """Three specks of dirt, darker than the ink, away from the digit."""
    photo = _mix(np.full(ink.shape, 210.0), 50, ink)
    for corner in ((6, 8), (SIDE - 8, 10), (8, SIDE - 8)):
        cv2.circle(photo, corner, 3, 20, -1)
    return photo


def red_on_green(ink: Array, random: np.random.Generator) -> Array:
    """Ink and paper of one brightness, with noise, as in the next three."""
    return _noise(_coloured((60, 150, 90), (230, 60, 108), ink), random)


def blue_on_brown(ink: Array, random: np.random.Generator) -> Array:
    return _noise(_coloured((180, 50, 20), (40, 80, 230), ink), random)


def green_on_pink(ink: Array, random: np.random.Generator) -> Array:
    return _noise(_coloured((240, 150, 190), (120, 225, 120), ink), random)


def red_on_green_jpeg(ink: Array, random: np.random.Generator) -> Array:
    """Lit from one side, in a JPEG, which has colours at half the resolution."""
    light = np.linspace(1, 0.75, SIDE)[:, None, None]
    photo = light * _coloured((60, 150, 90), (230, 60, 108), ink)
    _, jpeg = cv2.imencode(".jpg", photo[..., ::-1].round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1], float)


def yellow_blot(ink: Array, random: np.random.Generator) -> Array:
    """Dark ink beside a blot that has more contrast in blue than the ink, and hardly any in luminance."""
    photo = _coloured((215, 215, 215), (40, 40, 40), ink)
    cv2.circle(photo, (20, SIDE - 14), 11, (215, 215, 10), -1)
    return _noise(photo, random)


KINDS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    kind.__name__: kind
    for kind in (
        *(clean, on_white, dim, light_on_grey, uneven, lamp, shadow, soft_shadow),
        *(ruled, squared, pencil, noisy_pencil, specks),
        *(red_on_green, blue_on_brown, green_on_pink, red_on_green_jpeg, yellow_blot),
    )
}


def photo(kind: str, digit: Array, *, seed: int) -> Array:
    """A photo of `digit` of one of KINDS, in whole shades."""
    return np.round(KINDS[kind](drawn(digit), np.random.default_rng(seed)).clip(0, 255))


def _mix(paper: Array, shade: float, ink: Array) -> Array:
    return np.asarray(paper * (1 - ink) + shade * ink)


def _coloured(paper: tuple[int, int, int], shade: tuple[int, int, int], ink: Array) -> Array:
    return np.asarray(np.array(paper) * (1 - ink[..., None]) + np.array(shade) * ink[..., None])


def _noise(photo: Array, random: np.random.Generator) -> Array:
    return photo + random.normal(0, 4, photo.shape)
