"""Augmentation is the affine map it claims to be, resampled bilinearly, and depends on its seed alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.data.augment import (
    Affine,
    Elastic,
    EpochPrefetcher,
    RandomCrop,
    ZoomCrop,
    augmented,
    displacements,
    matrices,
    warp,
    warp_elastically,
)
from common.model.zoo import ZOO

UNDER_5K = Affine(crop=RandomCrop(area=(0.85, 1.0), aspect=(3 / 4, 4 / 3)), rotation=5.0)
UNDER_8K = Affine(zoom=ZoomCrop(22, 0.1), rotation=15.0)
ALL = [
    *(
        UNDER_5K,
        UNDER_8K,
        Affine(rotation=180.0),
        Affine(crop=RandomCrop(area=(0.1, 0.5), aspect=(0.5, 2.0))),
    ),
    Affine(rotation=10.0, elastic=Elastic(1.5)),
]
SIDE = 28


def noise(count: int, side: int = SIDE, seed: int = 0) -> NDArray[np.uint8]:
    """Images whose pixels are independent of their neighbours: the hardest to resample."""
    random = np.random.Generator(np.random.PCG64(seed))  # not default_rng, which `extreme` replaces
    return random.integers(0, 256, (count, side, side), dtype=np.uint8)


def gather(image: NDArray[np.uint8], inverse: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear resampling by its definition, in float64 and not rounded; zeros outside."""
    height, width = image.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = np.einsum("ij,jhw->ihw", inverse, np.stack([columns, rows, np.ones_like(rows)]))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)

    def pixel(row: NDArray[np.int_], column: NDArray[np.int_]) -> NDArray[np.float64]:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return np.where(inside, image[row.clip(0, height - 1), column.clip(0, width - 1)], 0.0)

    right, down = x - left, y - top
    above = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
    below = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
    return np.asarray((1 - down) * above + down * below)


class Extreme:
    """A random generator that always draws the upper end, and zero for a probability."""

    def uniform(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        return np.full(count, high)

    def random(self, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        return np.zeros(shape)


@pytest.fixture
def extreme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.data.augment.np.random.default_rng", lambda key: Extreme())


# Resampling


@pytest.mark.parametrize("choice", ALL, ids=str)
@pytest.mark.parametrize("side", [28, 9])
def test_warp_is_bilinear_resampling(choice: Affine, side: int) -> None:
    """OpenCV 5 is exact to rounding (0.5 grey levels); OpenCV 4 kept positions to 1/32 pixel (8 levels)."""
    images = noise(50, side)
    maps = matrices(choice, 50, shape=(side, side), seed=1, epoch=2)
    expected = np.stack([gather(image, inverse) for image, inverse in zip(images, maps, strict=True)])
    assert np.abs(warp(images, maps) - expected).max() < 0.51
    assert np.abs(images - expected).max() > 100, "the maps are no test if they change nothing"


def test_identity_changes_no_pixel() -> None:
    images = noise(3)
    np.testing.assert_array_equal(augmented(images, Affine(), seed=0, epoch=1), images)


def test_the_input_is_not_changed() -> None:
    images = noise(3)
    before = images.copy()
    assert not np.shares_memory(augmented(images, UNDER_8K, seed=0, epoch=1), images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("side", [28, 7])
def test_rotation_by_90_degrees_is_rot90(side: int, extreme: None) -> None:
    """A positive angle turns the picture counterclockwise, with rows running down: np.rot90 with k=1."""
    images = noise(2, side)
    turned = augmented(images, Affine(rotation=90.0), seed=0, epoch=1)
    np.testing.assert_array_equal(turned, np.rot90(images, k=1, axes=(1, 2)))


def test_zoom_is_centre_crop_and_bilinear_resize(extreme: None) -> None:
    """A pixel is a square with its value at the centre: output x is at (x + 0.5) * 22 / 28 - 0.5 in the crop.

    The outermost ring is left out. It lies 0.1 pixels outside the crop's last centres; a resize that has only
    the crop repeats its edge there, the affine map sees the pixels beyond.
    """
    image = noise(1)[0]
    crop = image[3:25, 3:25].astype(float)
    position = (np.arange(28) + 0.5) * 22 / 28 - 0.5
    wide = np.stack([np.interp(position, np.arange(22), row) for row in crop])
    resized = np.stack([np.interp(position, np.arange(22), column) for column in wide.T], 1)
    zoomed = augmented(image[None], Affine(zoom=ZoomCrop(22, 0.5)), seed=0, epoch=1)[0]
    assert np.abs(zoomed - resized)[1:-1, 1:-1].max() < 0.51


def test_crop_before_rotation(extreme: None) -> None:
    """A crop 4 / 3 as wide as high is scaled to a square, then turned: the stretch turns with the picture.

    The extreme draws take the window at the top left: x from -0.5 to 19.5, y from -0.5 to 14.5 (400 = 20 x 20
    pixels of area at aspect 1, here 20 x 15 of 20 x 20).
    """
    crop = RandomCrop(area=(0.5, 0.75), aspect=(1.0, 4 / 3))
    (inverse,) = matrices(Affine(crop=crop, rotation=90.0), 1, shape=(20, 20), seed=0, epoch=1)
    corners = np.array([[-0.5, -0.5, 1], [19.5, -0.5, 1], [-0.5, 19.5, 1]])
    # The picture's top left was, before the counterclockwise turn, the top right of the window; and so on.
    np.testing.assert_allclose(corners @ inverse.T, [[19.5, -0.5], [19.5, 14.5], [-0.5, -0.5]], atol=1e-12)


# Seeds


@pytest.mark.parametrize("choice", ALL[:2], ids=str)
def test_same_seed_and_epoch_give_the_same_bytes_and_others_do_not(choice: Affine) -> None:
    images = noise(20)
    first = augmented(images, choice, seed=1, epoch=1)
    assert first.tobytes() == augmented(images, choice, seed=1, epoch=1).tobytes()
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    keys = [(1, 2), (2, 1), (0, 1), (1, 0), (12, 1), (1, 12)]
    others = {augmented(images, choice, seed=seed, epoch=epoch).tobytes() for seed, epoch in keys}
    assert len(others | {first.tobytes()}) == len(keys) + 1


# Distributions; the seeds are fixed, so these either hold or do not.

COUNT = 20_000


def maps_of(choice: Affine, side: int = SIDE) -> NDArray[np.float64]:
    return matrices(choice, COUNT, shape=(side, side), seed=3, epoch=4)


def assert_uniform(values: NDArray[np.float64], low: float, high: float) -> None:
    """Kolmogorov-Smirnov: the distance is above 1.95 / sqrt(n) once in a thousand seeds."""
    assert low <= values.min()
    assert values.max() <= high
    ranks = np.arange(len(values)) / len(values)
    assert np.abs((np.sort(values) - low) / (high - low) - ranks).max() < 1.95 / np.sqrt(len(values))


@pytest.mark.parametrize("limit", [5.0, 15.0, 170.0])
def test_angles_are_uniform(limit: float) -> None:
    maps = maps_of(Affine(rotation=limit))
    assert_uniform(np.rad2deg(np.arctan2(maps[:, 1, 0], maps[:, 0, 0])), -limit, limit)
    np.testing.assert_allclose(np.linalg.det(maps[:, :, :2]), 1, rtol=1e-12)
    centre = np.full(2, (SIDE - 1) / 2)
    np.testing.assert_allclose(
        maps[:, :, :2] @ centre + maps[:, :, 2], np.tile(centre, (COUNT, 1)), rtol=1e-12
    )


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_share_of_zoomed_images(probability: float) -> None:
    maps = maps_of(Affine(zoom=ZoomCrop(22, probability), rotation=15.0))
    scales = np.sqrt(np.linalg.det(maps[:, :, :2]))
    zoomed = np.isclose(scales, 22 / 28)
    assert (zoomed | np.isclose(scales, 1)).all()
    error = np.sqrt(probability * (1 - probability) / COUNT)
    assert abs(zoomed.mean() - probability) <= 4 * error


def test_area_aspect_and_position_of_a_crop() -> None:
    """With settings under which every window fits, so that no draw is repeated."""
    maps = maps_of(Affine(crop=RandomCrop(area=(0.3, 0.6), aspect=(0.8, 1.25))))
    width, height = maps[:, 0, 0], maps[:, 1, 1]
    assert_uniform(width * height, 0.3, 0.6)
    assert_uniform(np.log(width / height), np.log(0.8), np.log(1.25))
    for axis, share in enumerate((width, height)):
        # The window's near edge, as a share of the room it has.
        edge = (maps[:, axis, 2] - 0.5 * share + 0.5) / (SIDE * (1 - share))
        assert_uniform(edge, 0, 1)


@settings(max_examples=50)
@given(
    st.floats(0.05, 1),
    st.floats(0.05, 1),
    st.floats(0.2, 5),
    st.floats(0.2, 5),
    st.integers(2, 40),
    st.integers(0, 99),
)
def test_windows_stay_within_the_image(
    area: float, other_area: float, aspect: float, other_aspect: float, side: int, seed: int
) -> None:
    """Edge to edge: from -0.5 to side - 0.5 in pixel centres."""
    crop = RandomCrop(area=_ordered(area, other_area), aspect=_ordered(aspect, other_aspect))
    maps = matrices(Affine(crop=crop), 100, shape=(side, side), seed=seed, epoch=1)
    corners = np.array([[-0.5, -0.5, 1], [side - 0.5, side - 0.5, 1]])
    mapped = np.einsum("nij,cj->nci", maps, corners)
    assert mapped.min() >= -0.5 - 1e-9
    assert mapped.max() <= side - 0.5 + 1e-9
    assert (mapped[:, 1] > mapped[:, 0]).all()


def _ordered(a: float, b: float) -> tuple[float, float]:
    return min(a, b), max(a, b)


# The zoo


@pytest.mark.parametrize(("model", "choice"), [("under-5k", UNDER_5K), ("under-8k", UNDER_8K)])
def test_augmentation_of_the_zoo_is_the_one_tested_here(model: str, choice: Affine) -> None:
    assert ZOO[model].recipe.augment == choice


def test_scaling_and_translation_are_uniform() -> None:
    """Enlarged by s, an output pixel at the distance d from the centre comes from d / (1 + s)."""
    maps = maps_of(Affine(rotation=10.0, scaling=0.06, translation=1.5))
    assert_uniform(1 / np.sqrt(np.linalg.det(maps[:, :, :2])) - 1, -0.06, 0.06)
    centre = np.full(2, (SIDE - 1) / 2)
    translation = maps[:, :, :2] @ centre + maps[:, :, 2] - centre
    for axis in range(2):
        assert_uniform(translation[:, axis], -1.5, 1.5)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_share_of_images_that_are_changed_at_all(probability: float) -> None:
    maps = maps_of(Affine(rotation=10.0, scaling=0.06, translation=1.5, probability=probability))
    same = np.isclose(maps, np.eye(2, 3)).all(axis=(1, 2))
    error = np.sqrt(probability * (1 - probability) / COUNT)
    assert abs(1 - same.mean() - probability) <= 4 * error


PARTS = [
    *({"rotation": 6.0}, {"crop": None}, {"zoom": ZoomCrop(20, 1.0)}),
    *({"scaling": 0.3}, {"translation": 2.0}, {"probability": 0.01}),
]


@pytest.mark.parametrize("changed", PARTS, ids=str)
def test_every_part_of_an_affine_has_an_effect(changed: dict[str, Any]) -> None:
    images = noise(10)
    reference = augmented(images, UNDER_5K, seed=1, epoch=1)
    other = augmented(images, dataclasses.replace(UNDER_5K, **changed), seed=1, epoch=1)
    assert (reference != other).mean() > 0.5


@given(shares=st.lists(st.floats(0, 1), max_size=6))
def test_a_prefetched_epoch_does_not_depend_on_its_steps(shares: list[float]) -> None:
    """Steps may also go back."""
    images = np.random.default_rng(3).integers(0, 256, (23, 28, 28), dtype=np.uint8)
    prefetcher = EpochPrefetcher(images, UNDER_8K, seed=2, epoch=5)
    for share in shares:
        prefetcher.advance_to(share)
        assert prefetcher.count >= round(23 * share)
    np.testing.assert_array_equal(prefetcher.finish(), augmented(images, UNDER_8K, seed=2, epoch=5))


# Elastic


def test_without_displacement_elastic_is_affine() -> None:
    """To the rounding of positions between pixels: OpenCV has 32 of them."""
    images, choice = noise(50), Affine(rotation=15.0, scaling=0.1)
    maps = matrices(choice, 50, shape=(SIDE, SIDE), seed=3, epoch=2)
    elastic = np.empty_like(images)
    warp_elastically(images, maps, np.zeros((50, 2, 4, 4), np.float32), out=elastic)
    assert np.abs(elastic.astype(int) - warp(images, maps)).max() <= 255 / 16


def test_equal_offsets_of_all_knots_shift_the_image() -> None:
    """By (2, -1): the pixel at x + 2, y - 1 comes to x, y."""
    images = noise(3)
    maps = matrices(Affine(), 3, shape=(SIDE, SIDE), seed=0, epoch=1)
    offsets = np.broadcast_to(np.float32([2, -1])[:, None, None], (3, 2, 5, 5)).copy()
    shifted = np.empty_like(images)
    warp_elastically(images, maps, offsets, out=shifted)
    np.testing.assert_array_equal(shifted[:, 1:, :-2], images[:, :-1, 2:])
    assert not shifted[:, 0].any()
    assert not shifted[:, :, -2:].any()


def test_a_knot_moves_the_pixels_near_it() -> None:
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    image[0, 4, 4] = image[0, 23, 23] = 255
    offsets = np.zeros((1, 2, 5, 5), np.float32)
    offsets[0, 0, 0, 0] = -3
    warped = np.empty_like(image)
    warp_elastically(image, matrices(Affine(), 1, shape=(SIDE, SIDE), seed=0, epoch=1), offsets, out=warped)
    assert warped[0, 23, 23] == 255
    assert warped[0, 4, 4] == 0
    row, column = np.unravel_index(warped[0, :14, :14].argmax(), (14, 14))
    assert (row, column >= 5) == (4, True)


def test_displacements_have_the_deviation_and_the_probability_of_the_setting() -> None:
    offsets = displacements(Elastic(2.0, knots=3, probability=0.25), 20_000, seed=1, epoch=1)
    assert offsets.shape == (20_000, 2, 3, 3)
    deformed = offsets.any(axis=(1, 2, 3))
    assert abs(deformed.mean() - 0.25) < 0.02
    assert abs(offsets[deformed].std() - 2.0) < 0.02
    assert abs(offsets[deformed].mean()) < 0.02


WIDE = np.random.default_rng(3).integers(0, 256, (6, 20, 24, 3), np.uint8)
EVERYTHING = Affine(
    crop=RandomCrop(area=(0.5, 1.0), aspect=(0.7, 1.4)),
    zoom=ZoomCrop(16, 0.5),
    rotation=20,
    scaling=0.1,
    translation=2.0,
    elastic=Elastic(1.5),
)


@pytest.mark.parametrize(
    "choice", [EVERYTHING, dataclasses.replace(EVERYTHING, elastic=None)], ids=["elastic", "affine"]
)
def test_the_channels_of_an_image_that_is_no_square_change_alike(choice: Affine) -> None:
    changed = augmented(WIDE, choice, seed=1, epoch=2)
    assert changed.shape == WIDE.shape
    assert (changed != WIDE).any(axis=(1, 2, 3)).all()
    for channel in range(3):
        alone = np.ascontiguousarray(WIDE[..., channel])
        np.testing.assert_array_equal(changed[..., channel], augmented(alone, choice, seed=1, epoch=2))


def test_the_corners_of_a_crop_are_inside_an_image_that_is_no_square() -> None:
    crop = RandomCrop(area=(0.3, 1.0), aspect=(0.75, 1.33))
    maps = matrices(Affine(crop=crop), 200, shape=(20, 24), seed=1, epoch=1)
    edges = np.array([[-0.5, -0.5, 1], [23.5, 19.5, 1]])  # of the first and last pixel, x and y
    corners = np.einsum("nij,kj->nki", maps, edges)
    assert (corners > -0.5 - 1e-9).all()
    assert (corners < np.array([23.5, 19.5]) + 1e-9).all()
    sides = corners[:, 1] - corners[:, 0]
    area, aspect = sides.prod(axis=1) / (20 * 24), sides[:, 0] / sides[:, 1]
    whole = np.isclose(area, 1)
    assert whole.mean() < 0.5
    assert (area > 0.3 - 1e-9).all()
    assert ((aspect > 0.75 - 1e-9) & (aspect < 1.33 + 1e-9))[~whole].all()


def test_a_zoom_keeps_the_proportions_of_an_image_that_is_no_square() -> None:
    (zoomed,) = matrices(Affine(zoom=ZoomCrop(10, 1.0)), 1, shape=(20, 24), seed=1, epoch=1)
    np.testing.assert_allclose(zoomed, [[0.5, 0, 11.5 / 2], [0, 0.5, 9.5 / 2]])
