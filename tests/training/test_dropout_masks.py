"""Dropout masks keep their share, scale the rest, and follow from seed and layer."""

from __future__ import annotations

import numpy as np
import pytest

from common.training.dropout_masks import Masks


def test_masks_keep_their_share_and_scale_the_rest() -> None:
    masks = Masks(0.25, "dropout1", seed=3)
    first, second = masks((200, 50), "float64"), masks((200, 50), "float64")
    assert set(np.unique(first)) == {0.0, 1 / 0.75}
    assert first.mean() == pytest.approx(1.0, abs=0.03)
    assert (first != second).any()
    np.testing.assert_array_equal(first, Masks(0.25, "dropout1", seed=3)((200, 50), "float64"))
    assert (first != Masks(0.25, "dropout2", seed=3)((200, 50), "float64")).any()
    whole = Masks(0.5, "drop", seed=1, whole_channels=True)((8, 4, 5, 5), "float32")
    assert whole.dtype == np.float32
    assert (whole == whole[:, :, :1, :1]).all()
    assert len(np.unique(whole)) == 2
