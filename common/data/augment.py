"""Seeded affine and elastic augmentation of a whole epoch: the same pixels for either framework.

The steps of an `Affine` are composed into one 2x3 matrix per image and, with an elastic step, into one map of
its pixels, so each image is resampled once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass
from itertools import repeat
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.checked import Between, Checked
from common.identity import added_field

Probability = Annotated[float, Between(0, 1)]
MAX_SIDE = 4096
"""Pixels: the longest side of an image."""

Pixels = Annotated[float, Between(0, MAX_SIDE)]
_Share = Annotated[float, Between(0, 1, above=True)]
_Ratio = Annotated[float, Between(0, above=True)]

_STREAM = 0xA06  # keeps these draws apart from those of the order and of the weights
_ELASTIC_STREAM = 0xE1A
_CROP_ATTEMPTS = 10
_CHUNK = 256 * 28 * 28  # pixels per pass of the elastic warp: the maps of more do not fit into the caches


@dataclass(frozen=True, kw_only=True)
class RandomCrop(Checked):
    """A random window scaled to full size: torchvision's RandomResizedCrop without rounding to whole pixels.

    Its share of the image's area is uniform within `area`, its width / height log-uniform within `aspect`.
    The first of ten draws that fits into the image is used, else the whole image.
    """

    kind: ClassVar[str] = "RandomCrop"

    area: tuple[_Share, _Share]
    aspect: tuple[_Ratio, _Ratio]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in {"area": self.area, "aspect": self.aspect}.items():
            if low > high:
                self.refuse(f"{name}={(low, high)} must be (low, high), the lower first")


@dataclass(frozen=True)
class ZoomCrop(Checked):
    """With `probability`, the central window whose shorter side is `side` pixels, scaled to full size."""

    kind: ClassVar[str] = "ZoomCrop"

    side: Annotated[int, Between(1, MAX_SIDE)]
    probability: Probability


@dataclass(frozen=True)
class Elastic(Checked):
    """With `probability`, an elastic deformation (Ronneberger et al., 2015).

    Each coordinate of a grid of `knots` x `knots` points is displaced by a normally distributed number of
    pixels with standard deviation `displacement`; the pixels between them by cubic interpolation.
    """

    kind: ClassVar[str] = "Elastic"

    displacement: Pixels
    _: KW_ONLY
    knots: Annotated[int, Between(1, MAX_SIDE)] = 5
    probability: Probability = 1.0


@dataclass(frozen=True, kw_only=True)
class Affine(Checked):
    """Crop, zoom, rotation, scaling and translation, each image with `probability`.

    In this order: translation by up to `translation` pixels along each axis; `crop` and `zoom`; rotation
    about the centre by up to `rotation` degrees either way; enlargement or reduction by up to the share
    `scaling`. The `elastic` deformation, with its own probability, comes last.
    """

    kind: ClassVar[str] = "Affine"

    crop: RandomCrop | None = None
    zoom: ZoomCrop | None = None
    rotation: Annotated[float, Between(0, 180)] = 0.0
    scaling: Annotated[float, Between(0, 1, below=True)] = added_field(0.0)
    translation: Pixels = added_field(0.0)
    probability: Probability = added_field(1.0)
    elastic: Elastic | None = added_field(None)


def matrices(
    augment: Affine, count: int, *, shape: tuple[int, int], seed: int, epoch: int
) -> NDArray[np.float64]:
    """The map from an output pixel's (x, y) to the input's for each of `count` images: (count, 2, 3).

    The maps depend on (augment, count, shape, seed, epoch) alone; `shape` is (height, width).
    """
    random = np.random.default_rng([_STREAM, seed, epoch])
    height, width = shape
    sides = np.array([width, height], np.float64)
    middle = (sides - 1) / 2
    scale = np.ones((count, 2))
    centre = np.tile(middle, (count, 1))
    if augment.crop:
        crop = augment.crop
        area = random.uniform(*crop.area, (count, _CROP_ATTEMPTS))
        aspect = np.exp(
            random.uniform(np.log(crop.aspect[0]), np.log(crop.aspect[1]), (count, _CROP_ATTEMPTS))
        )
        # Shares of the image's width and height.
        shares = np.sqrt(np.stack([area * aspect * (height / width), area / aspect * (width / height)], 2))
        fits = shares.max(axis=2) <= 1
        first = shares[np.arange(count), fits.argmax(axis=1)]
        scale = np.where(fits.any(axis=1)[:, None], first, 1.0)
        centre = middle + (random.random((count, 2)) - 0.5) * sides * (1 - scale)
    if augment.zoom:
        zoomed = random.random(count) < augment.zoom.probability
        scale = np.where(zoomed[:, None], augment.zoom.side / sides.min(), scale)
        centre = np.where(zoomed[:, None], middle, centre)
    angle = np.deg2rad(random.uniform(-augment.rotation, augment.rotation, count))
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    if augment.scaling:
        scale = scale / (1 + random.uniform(-augment.scaling, augment.scaling, count))[:, None]
    if augment.translation:
        centre = centre + random.uniform(-augment.translation, augment.translation, (count, 2))
    if augment.probability < 1:
        unchanged = random.random(count) >= augment.probability
        scale[unchanged], centre[unchanged], rotation[unchanged] = 1.0, middle, np.eye(2)
    linear = scale[:, :, None] * rotation
    shift = centre - linear @ middle
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def warp(
    images: NDArray[np.uint8], maps: NDArray[np.float64], *, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """`images` (N, H, W) or (N, H, W, 3) resampled bilinearly by `maps` (N, 2, 3), zeros outside; in `out` if
    it is given."""
    # Imported here: networks without augmentation, and `--help`, need not load it.
    import cv2

    cv2.setNumThreads(0)  # its threads would contend with the framework's
    height, width = images.shape[1:3]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = np.empty_like(images) if out is None else out
    calls = map(cv2.warpAffine, images, maps, repeat((width, height)), warped, repeat(flags))
    deque(calls, maxlen=0)  # a loop in C: a tenth of the time is the loop's
    return warped


def displacements(elastic: Elastic, count: int, *, seed: int, epoch: int) -> NDArray[np.float32]:
    """Displacements of the knots of `count` images, in pixels along x and y: (count, 2, knots, knots)."""
    random = np.random.default_rng([_ELASTIC_STREAM, seed, epoch])
    offsets = random.standard_normal((count, 2, elastic.knots, elastic.knots), np.float32)
    offsets *= elastic.displacement
    offsets[random.random(count) >= elastic.probability] = 0.0
    return offsets


def warp_elastically(
    images: NDArray[np.uint8],
    maps: NDArray[np.float64],
    offsets: NDArray[np.float32],
    *,
    out: NDArray[np.uint8],
) -> None:
    """Write to `out` the `images` (N, H, W) or (N, H, W, 3) after `maps` (N, 2, 3), then the deformation by
    the knots' `offsets` (N, 2, knots, knots); resampled bilinearly once, zeros outside."""
    import cv2

    cv2.setNumThreads(0)
    height, width = images.shape[1:3]
    knots = np.eye(offsets.shape[-1], dtype=np.float32)
    of_rows, of_columns = (
        cv2.resize(knots, (len(knots), side), interpolation=cv2.INTER_CUBIC) for side in (height, width)
    )
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    count = max(1, _CHUNK // (height * width))
    for start in range(0, len(images), count):
        chunk = slice(start, start + count)
        positions = of_rows @ offsets[chunk] @ of_columns.T + np.stack([columns, rows])
        affine = maps[chunk].astype(np.float32)
        x, y = np.moveaxis(np.einsum("nij,njhw->nihw", affine[:, :, :2], positions), 1, 0)
        x += affine[:, 0, 2, None, None]
        y += affine[:, 1, 2, None, None]
        for image, x_of_pixel, y_of_pixel, warped in zip(images[chunk], x, y, out[chunk], strict=True):
            cv2.remap(image, x_of_pixel, y_of_pixel, cv2.INTER_LINEAR, warped)


def augmented(images: NDArray[np.uint8], augment: Affine, *, seed: int, epoch: int) -> NDArray[np.uint8]:
    """The training images, as `images`, of one epoch, uint8; the same for every framework and batch size."""
    return EpochPrefetcher(images, augment, seed=seed, epoch=epoch).finish()


class EpochPrefetcher:
    """The augmented images of the next epoch, computed a share at a time during the current one.

    Not in a thread: it would delay the framework's threads, which wait for each other, by more than its own
    work, and each of its calls would take the interpreter lock from the training loop.
    """

    def __init__(self, images: NDArray[np.uint8], augment: Affine, *, seed: int, epoch: int) -> None:
        self.images, self.count = images, 0
        self.maps = matrices(augment, len(images), shape=images.shape[1:3], seed=seed, epoch=epoch)
        self.offsets = (
            displacements(augment.elastic, len(images), seed=seed, epoch=epoch) if augment.elastic else None
        )
        self.warped = np.empty_like(images)

    def advance_to(self, share: float) -> None:
        """Augment images until the first `share` (0..1) of the epoch is complete; `count` is their number."""
        part = slice(self.count, max(self.count, round(share * len(self.images))))
        images, maps, out = self.images[part], self.maps[part], self.warped[part]
        if self.offsets is None:
            warp(images, maps, out=out)
        else:
            warp_elastically(images, maps, self.offsets[part], out=out)
        self.count = part.stop

    def finish(self) -> NDArray[np.uint8]:
        """All augmented images of the epoch."""
        self.advance_to(1.0)
        return self.warped
