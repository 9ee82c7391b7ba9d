"""The order of an epoch (every image at most once, another for each epoch and seed) and the normalisation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data import batches
from common.data.batches import Scaling
from common.data.datasets import DataError

SEEDS = st.integers(0, 2**40)
EPOCHS = st.integers(0, 10_000)


@given(st.integers(1, 400), st.data(), SEEDS, EPOCHS)
def test_an_epoch_shows_no_image_twice(count: int, draw: st.DataObject, seed: int, epoch: int) -> None:
    batch_size = draw.draw(st.integers(1, count))
    order = batches.epoch_order(count, batch_size=batch_size, seed=seed, epoch=epoch)
    assert order.shape == (count // batch_size, batch_size)
    assert order.dtype == np.dtype(np.int64)
    assert len(np.unique(order)) == order.size
    assert order.min() >= 0
    assert order.max() < count


@given(SEEDS, EPOCHS, SEEDS, EPOCHS)
def test_epochs_and_seeds_differ(seed: int, epoch: int, other_seed: int, other_epoch: int) -> None:
    one = batches.epoch_order(100, batch_size=10, seed=seed, epoch=epoch)
    other = batches.epoch_order(100, batch_size=10, seed=other_seed, epoch=other_epoch)
    assert np.array_equal(one, other) == ((seed, epoch) == (other_seed, other_epoch))


def test_large_seeds_do_not_meet_small_ones() -> None:
    one = batches.epoch_order(100, batch_size=10, seed=2**32 + 1, epoch=0)
    assert not np.array_equal(one, batches.epoch_order(100, batch_size=10, seed=1, epoch=1))
    assert not np.array_equal(one, batches.epoch_order(100, batch_size=10, seed=1, epoch=0))


@settings(max_examples=30)
@given(SEEDS, EPOCHS, st.integers(1, 100))
def test_the_order_depends_on_nothing_else(seed: int, epoch: int, batch_size: int) -> None:
    whole = batches.epoch_order(100, batch_size=1, seed=seed, epoch=epoch).ravel()
    np.random.seed(batch_size)
    again = batches.epoch_order(100, batch_size=batch_size, seed=seed, epoch=epoch).ravel()
    np.testing.assert_array_equal(again, whole[: again.size])


def test_the_order_is_the_one_it_always_was() -> None:
    order = batches.epoch_order(10, batch_size=4, seed=1, epoch=2)
    assert order.tolist() == [[0, 3, 1, 4], [5, 8, 2, 6]]


def test_every_epoch_leaves_out_others() -> None:
    left = [
        set(range(10)) - set(batches.epoch_order(10, batch_size=7, seed=1, epoch=epoch).ravel().tolist())
        for epoch in range(20)
    ]
    assert all(len(images) == 3 for images in left)
    assert set.union(*left) == set(range(10))


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_a_batch_size_that_does_not_fit(batch_size: int) -> None:
    with pytest.raises(DataError) as caught:
        batches.epoch_order(10, batch_size=batch_size, seed=1, epoch=1)
    assert (
        str(caught.value) == f"The batch size must be from 1 to 10, the number of images; it is {batch_size}."
    )


def test_a_negative_seed() -> None:
    with pytest.raises(DataError, match=r"^Seed and epoch must be 0 or more; they are -1 and 2.$"):
        batches.epoch_order(10, batch_size=1, seed=-1, epoch=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalise_is_the_formula_to_rounding(dtype: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1100, 28, 28), np.uint8)
    result = batches.normalise(images, Scaling(0.1307, 0.3081), dtype=dtype)
    assert result.shape == (1100, 1, 28, 28)
    assert result.dtype == np.dtype(dtype)
    assert result.flags.c_contiguous
    expected = ((images / 255 - 0.1307) / 0.3081).astype(dtype)
    np.testing.assert_allclose(result[:, 0], expected, atol=4 * np.finfo(dtype).eps)


def test_normalise_refuses_other_images_and_deviations() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(N, H, W\) or \(N, H, W, 3\), not float32 \(2, 28, 28\)"):
        batches.normalise(np.zeros((2, 28, 28), np.float32), Scaling())  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(ValueError, match="must be above 0; it is 0"):
        batches.normalise(np.zeros((2, 28, 28), np.uint8), Scaling(0.0, 0))
