"""Seeded affine and elastic augmentation of a whole epoch: the same pixels for either framework.

All steps of an `Affine` are composed into one 2x3 matrix an image, and where it is elastic with that into one
map of its pixels, so each image is resampled once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.identity import added_field

_PURPOSE = 0xA06  # keeps these draws apart from those of the order and of the weights
_ELASTIC_PURPOSE = 0xE1A
_DRAWS = 10  # of a crop window
_TOGETHER = 256  # images whose maps are made at once: more leave the caches


@dataclass(frozen=True)
class RandomCrop:
    """A window of a uniform share of the `area` and a log-uniform `aspect` (width / height), scaled to full
    size. Of ten draws the first that fits into the image, else the whole image (torchvision's
    RandomResizedCrop, its rounding to whole pixels left out)."""

    kind: ClassVar[str] = "RandomCrop"

    area: tuple[float, float]
    aspect: tuple[float, float]


@dataclass(frozen=True)
class ZoomCrop:
    """With `probability`, the central `side` pixels scaled to full size."""

    kind: ClassVar[str] = "ZoomCrop"

    side: int
    probability: float


@dataclass(frozen=True)
class Elastic:
    """With `probability`, a grid of `knots` x `knots` points is moved, each coordinate by a normally
    distributed number of pixels with the standard deviation `displacement`, and what is between them goes
    along cubically (Ronneberger et al., 2015)."""

    kind: ClassVar[str] = "Elastic"

    displacement: float
    knots: int = 5
    probability: float = 1.0


@dataclass(frozen=True)
class Affine:
    """Crop or zoom first, then rotate about the centre by up to `rotation` degrees either way.

    Then enlarge or reduce by up to the share `scaling`, and move by up to `translation` pixels along each
    axis. All of this is done to an image with `probability`; before it, and with its own, what is `elastic`.
    """

    kind: ClassVar[str] = "Affine"

    crop: RandomCrop | None = None
    zoom: ZoomCrop | None = None
    rotation: float = 0.0
    scaling: float = added_field(0.0)
    translation: float = added_field(0.0)
    probability: float = added_field(1.0)
    elastic: Elastic | None = added_field(None)


def matrices(augment: Affine, count: int, *, side: int, seed: int, epoch: int) -> NDArray[np.float64]:
    """For each of `count` images the map from an output pixel's (x, y) to the input's, shape (count, 2, 3).

    It depends on (augment, count, side, seed, epoch) alone.
    """
    random = np.random.default_rng([_PURPOSE, seed, epoch])
    middle = (side - 1) / 2
    scale = np.ones((count, 2))
    centre = np.full((count, 2), middle)
    if augment.crop:
        crop = augment.crop
        area = random.uniform(*crop.area, (count, _DRAWS))
        aspect = np.exp(random.uniform(np.log(crop.aspect[0]), np.log(crop.aspect[1]), (count, _DRAWS)))
        sides = np.sqrt(np.stack([area * aspect, area / aspect], axis=2))
        fits = sides.max(axis=2) <= 1
        first = sides[np.arange(count), fits.argmax(axis=1)]
        scale = np.where(fits.any(axis=1)[:, None], first, 1.0)
        centre = middle + (random.random((count, 2)) - 0.5) * side * (1 - scale)
    if augment.zoom:
        zoomed = random.random(count) < augment.zoom.probability
        scale = np.where(zoomed[:, None], augment.zoom.side / side, scale)
        centre = np.where(zoomed[:, None], middle, centre)
    angle = np.deg2rad(random.uniform(-augment.rotation, augment.rotation, count))
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    if augment.scaling:
        scale = scale / (1 + random.uniform(-augment.scaling, augment.scaling, count))[:, None]
    if augment.translation:
        centre = centre + random.uniform(-augment.translation, augment.translation, (count, 2))
    if augment.probability < 1:
        left = random.random(count) >= augment.probability
        scale[left], centre[left], rotation[left] = 1.0, middle, np.eye(2)
    linear = scale[:, :, None] * rotation
    shift = centre - linear @ np.full(2, middle)
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def warp(
    images: NDArray[np.uint8], maps: NDArray[np.float64], *, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """`images` (N, H, W) resampled bilinearly along `maps` (N, 2, 3), zeros outside; into `out`, else a new
    array."""
    # Imported here: networks without augmentation, and `--help`, need not load it.
    import cv2

    cv2.setNumThreads(0)  # its threads would contend with the framework's
    height, width = images.shape[1:]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = np.empty_like(images) if out is None else out
    calls = map(cv2.warpAffine, images, maps, repeat((width, height)), warped, repeat(flags))
    deque(calls, maxlen=0)  # a loop in C: a tenth of the time is the loop's
    return warped


def displacements(elastic: Elastic, count: int, *, seed: int, epoch: int) -> NDArray[np.float32]:
    """For each of `count` images by how many pixels, x and y, its knots move: (count, 2, knots, knots)."""
    random = np.random.default_rng([_ELASTIC_PURPOSE, seed, epoch])
    moved = random.standard_normal((count, 2, elastic.knots, elastic.knots), np.float32)
    moved *= elastic.displacement
    moved[random.random(count) >= elastic.probability] = 0.0
    return moved


def warp_elastically(
    images: NDArray[np.uint8],
    maps: NDArray[np.float64],
    moved: NDArray[np.float32],
    *,
    out: NDArray[np.uint8],
) -> None:
    """`images` (N, H, H) resampled bilinearly along `maps` (N, 2, 3) of pixels that went along with the knots
    that `moved` (N, 2, knots, knots), zeros outside; into `out`."""
    import cv2

    cv2.setNumThreads(0)
    side, knots = images.shape[1], moved.shape[-1]
    spread = cv2.resize(np.eye(knots, dtype=np.float32), (knots, side), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    for start in range(0, len(images), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        places = spread @ moved[part] @ spread.T + np.stack([columns, rows])
        linear = maps[part].astype(np.float32)
        x, y = np.moveaxis(np.einsum("nij,njhw->nihw", linear[:, :, :2], places), 1, 0)
        x += linear[:, 0, 2, None, None]
        y += linear[:, 1, 2, None, None]
        for image, across, down, warped in zip(images[part], x, y, out[part], strict=True):
            cv2.remap(image, across, down, cv2.INTER_LINEAR, warped)


def augmented(images: NDArray[np.uint8], augment: Affine, *, seed: int, epoch: int) -> NDArray[np.uint8]:
    """The training images (N, H, W) of one epoch, uint8; the same for every framework and batch size."""
    return EpochPrefetcher(images, augment, seed=seed, epoch=epoch).finish()


class EpochPrefetcher:
    """The images of an epoch to come, made a share at a time while another one is trained on.

    Not by a thread: it would hold up the framework's own ones for longer than it works, as these wait for one
    another, and in Python each of its calls for an image takes the interpreter from the loop that trains.
    """

    def __init__(self, images: NDArray[np.uint8], augment: Affine, *, seed: int, epoch: int) -> None:
        self.images, self.made = images, 0
        self.maps = matrices(augment, len(images), side=images.shape[1], seed=seed, epoch=epoch)
        self.moved = (
            displacements(augment.elastic, len(images), seed=seed, epoch=epoch) if augment.elastic else None
        )
        self.warped = np.empty_like(images)

    def advance_to(self, share: float) -> None:
        """Make what is missing of the first `share` (0..1) of the epoch."""
        part = slice(self.made, max(self.made, round(share * len(self.images))))
        if self.moved is None:
            warp(self.images[part], self.maps[part], out=self.warped[part])
        else:
            moved = self.moved[part]
            warp_elastically(self.images[part], self.maps[part], moved, out=self.warped[part])
        self.made = part.stop

    def finish(self) -> NDArray[np.uint8]:
        """All of the epoch, (N, H, W)."""
        self.advance_to(1.0)
        return self.warped
