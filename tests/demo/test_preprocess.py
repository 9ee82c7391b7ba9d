"""A drawing is preprocessed as MNIST's digits were, whatever its size, place and shade."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from support import photos

from common.data.datasets import Dataset
from common.demo.preprocess import BOX, LARGEST, LARGEST_COLOURED, MIDDLE, SIDE, DrawingError, to_mnist


def seven(
    height: int = 280, width: int = 280, *, at: tuple[int, int] = (60, 90), size: int = 100
) -> np.ndarray:
    """White strokes on black."""
    picture = np.zeros((height, width))
    top, left = at
    corners = [(left, top), (left + size * 2 // 3, top), (left + size // 4, top + size)]
    for start, end in itertools.pairwise(corners):
        cv2.line(picture, start, end, 255, max(2, size // 8), cv2.LINE_AA)
    return picture


def centre(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape)
    weights = image.astype(float) / image.sum()
    return np.array([(rows * weights).sum(), (columns * weights).sum()])


def sides(image: np.ndarray) -> tuple[int, int]:
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize("size", [20, 60, 100, 150])
@pytest.mark.parametrize("at", [(10, 10), (60, 90), (100, 120)])
def test_the_longer_side_is_20_and_the_mass_is_in_the_middle(size: int, at: tuple[int, int]) -> None:
    image = to_mnist(seven(at=at, size=size))
    assert image.shape == (SIDE, SIDE)
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert max(sides(image)) == BOX
    assert np.abs(centre(image) - MIDDLE).max() <= 0.5


def test_size_and_place_do_not_matter() -> None:
    small, large = to_mnist(seven(size=80, at=(20, 30))), to_mnist(seven(560, 700, size=160, at=(300, 400)))
    assert np.abs(small.astype(int) - large).mean() < 4


def test_proportions_are_kept() -> None:
    picture = np.zeros((280, 280))
    picture[40:240, 100:150] = 255
    height, width = sides(to_mnist(picture))
    assert (height, width) == (20, 5)


@pytest.mark.parametrize("paper", [200.0, 255.0])
def test_dark_on_light_is_inverted(paper: float) -> None:
    drawn = seven()
    np.testing.assert_array_equal(to_mnist(paper - drawn * paper / 255), to_mnist(drawn))


def test_a_shadow_and_the_noise_of_a_camera_are_not_ink() -> None:
    random = np.random.default_rng(3)
    paper = 190 + np.linspace(-8, 8, 280)[None] + random.normal(0, 3, (280, 280))
    photo = (paper - 150 * seven() / 255).clip(0, 255)
    assert np.abs(to_mnist(photo).astype(int) - to_mnist(seven())).mean() < 6


def test_a_dot_and_a_line_are_pictures() -> None:
    for height, width in ((1, 1), (1, 200), (200, 1)):
        picture = np.zeros((280, 280))
        picture[40 : 40 + height, 50 : 50 + width] = 255
        assert to_mnist(picture).max() == 255


@pytest.mark.parametrize(
    "picture, words",
    [
        (np.zeros((280, 280)), "nothing drawn"),
        (np.full((280, 280), 255.0), "nothing drawn"),
        (np.full((280, 280), 7.0), "nothing drawn"),
        (np.zeros((280,)), "shape is (280,)"),
        (np.zeros((4, 280)), "8 to 1024 pixels a side"),
        (np.zeros((280, LARGEST + 1)), "8 to 1024 pixels a side"),
        (np.zeros((280, 280, 3)), "nothing drawn"),
        (np.full((280, 280, 3), (60.0, 150.0, 90.0)), "nothing drawn"),
        (np.zeros((280, 280, 4)), "shape is (280, 280, 4)"),
        (np.zeros((280, LARGEST_COLOURED + 1, 3)), "8 to 512 pixels a side"),
        (np.full((28, 28), np.nan), "numbers from 0 to 255"),
        (np.full((28, 28), -1.0), "numbers from 0 to 255"),
        (np.full((28, 28), 256.0), "numbers from 0 to 255"),
    ],
)
def test_a_picture_without_a_digit_is_refused(picture: np.ndarray, words: str) -> None:
    with pytest.raises(DrawingError) as error:
        to_mnist(picture)
    assert words in str(error.value)


@pytest.mark.slow
def test_digits_of_mnist_are_nearly_unchanged(mnist: Dataset) -> None:
    """Rendered ten times as large. Most of the difference is a shift by one pixel."""
    images = mnist.test.images[:200]
    large = [cv2.resize(image, (280, 280), interpolation=cv2.INTER_CUBIC) for image in images]
    again = np.stack([to_mnist(picture.astype(float)) for picture in large])
    assert np.abs(again.astype(float) - images).mean() < 10


@pytest.fixture(scope="module")
def clean(mnist: Dataset) -> list[np.ndarray]:
    """The first 20 test digits, drawn and preprocessed."""
    return [to_mnist(photos.photo("clean", digit, seed=1)) for digit in mnist.test.images[:20]]


@pytest.mark.parametrize("kind", photos.KINDS)
def test_a_photo_is_prepared_as_a_clean_drawing_is(
    kind: str, mnist: Dataset, clean: list[np.ndarray]
) -> None:
    """Nearly, in most of 20; a shadow can move one by a pixel. test_page.py has what the networks predict."""
    agreement = []
    for number, digit in enumerate(mnist.test.images[:20]):
        seen = to_mnist(photos.photo(kind, digit, seed=number))
        agreement.append(np.corrcoef(clean[number].ravel(), seen.ravel())[0, 1])
    assert np.median(agreement) > 0.75


@pytest.mark.parametrize("kind", ["dim", "uneven", "lamp", "shadow", "ruled"])
def test_paper_without_a_digit_is_refused(kind: str) -> None:
    with pytest.raises(DrawingError):
        to_mnist(photos.photo(kind, np.zeros((28, 28), np.uint8), seed=1))


def test_a_grey_picture_in_colours_is_the_same() -> None:
    picture = photos.photo("lamp", np.array(seven(28, 28, at=(4, 8), size=20)), seed=1)
    np.testing.assert_array_equal(to_mnist(np.stack([picture] * 3, axis=2)), to_mnist(picture))


@pytest.mark.parametrize("stroke", [11, 22])
def test_a_large_drawing_loses_nothing_to_the_preparation_of_photos(stroke: int) -> None:
    """Strokes as wide as the page's pen and twice that, up to the edges, are no paper and no lines of it."""
    ring = cv2.circle(np.zeros((140, 140)), (70, 70), 52, 255, stroke, cv2.LINE_AA)
    rows = np.flatnonzero(ring.any(axis=1))
    inside = slice(rows[0], rows[-1] + 1)
    small = cv2.resize(ring[inside, inside], (BOX, BOX), interpolation=cv2.INTER_AREA)
    assert to_mnist(ring).sum() == pytest.approx(small.sum(), rel=0.03)
    line = cv2.line(np.zeros((140, 140)), (70, 0), (70, 139), 255, stroke)
    assert sides(to_mnist(line)) == (BOX, round(stroke / 7))
