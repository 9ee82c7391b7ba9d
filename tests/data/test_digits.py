"""Digits in memory: what does not fit, held-out images and counts of classes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.data import datasets
from common.data.datasets import DataError, Dataset, Digits


def digits(count: int) -> Digits:
    images = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    return Digits(images, np.arange(count, dtype=np.uint8) % 10)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (
            np.zeros((3, 28, 28), np.uint8),
            np.array([1, 10, 12], np.uint8),
            "Label 10 of image 1 is out of range",
        ),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8), "There are 3 images and 2 labels"),
        (
            np.zeros((3, 28, 27), np.uint8),
            np.zeros(3, np.uint8),
            r"training images are \(28, 27\) and the test images \(28, 28\)",
        ),
        (
            np.zeros((3, 28, 28, 4), np.uint8),
            np.zeros(3, np.uint8),
            r"Images must be .* not uint8 \(3, 28, 28, 4\)",
        ),
        (np.zeros((3, 28, 28)), np.zeros(3, np.uint8), "Images must be .* not float64"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int64), "Labels must be .* not int64"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros((3, 1), np.uint8), r"Labels must be .* \(3, 1\)"),
    ],
)
def test_digits_that_do_not_fit(images: NDArray[Any], labels: NDArray[Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Dataset("odd", Digits(images, labels), digits(3))


def test_hold_out_takes_the_last_training_images() -> None:
    dataset = Dataset("tiny", digits(20), digits(5))
    held = datasets.hold_out(dataset, 6)
    assert held.name == "tiny"
    assert held.train.images[:, 0, 0].tolist() == list(range(14))
    assert held.test.images[:, 0, 0].tolist() == list(range(14, 20))
    assert held.test.labels.tolist() == [4, 5, 6, 7, 8, 9]
    assert (len(held.train), len(held.test), len(dataset.train), len(dataset.test)) == (14, 6, 20, 5)


@pytest.mark.parametrize("count", [0, -3, 20, 21])
def test_a_count_that_cannot_be_held_out(count: int) -> None:
    with pytest.raises(DataError, match=f"1 to 19 of the 20 .*{count}"):
        datasets.hold_out(Dataset("tiny", digits(20), digits(5)), count)


def test_class_counts() -> None:
    assert datasets.class_counts(np.array([3, 3, 9], np.uint8)).tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    assert datasets.class_counts(np.empty(0, np.uint8)).tolist() == [0] * 10
    with pytest.raises(DataError, match=r"^Label 12 is out of range; labels are 0 to 9.$"):
        datasets.class_counts(np.array([12], np.uint8))
