"""A result at chance level or an absurd loss is noticed, and no recorded one is doubted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from common.model.zoo import ZOO
from common.tables import store
from common.training.doubts import chance_level, doubts

RESULTS = Path(__file__).resolve().parents[2] / "results"
MNIST = np.repeat(np.arange(10), (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009))
SOUND = {"test loss": 0.1, "training loss": 0.2}


def test_chance_is_the_most_frequent_label() -> None:
    """Whatever a network of one answer says, and not much more."""
    chance = chance_level(MNIST)
    assert 11.35 < chance < 13
    assert all(100 * (digit == MNIST).mean() <= chance for digit in range(10))


def test_a_small_or_skewed_test_set_does_not_make_a_perfect_result_chance() -> None:
    for labels in (np.array([0, 1] * 8), np.array([0] * 90 + [1] * 10)):
        chance = chance_level(labels)
        assert doubts(100.0, SOUND, chance=chance, outputs=2) == ""
        assert doubts(100 * np.bincount(labels).max() / len(labels), SOUND, chance=chance, outputs=2)


@pytest.mark.parametrize("accuracy", [0.0, 8.92, 9.8, 11.35])
def test_an_accuracy_of_chance_is_doubted(accuracy: float) -> None:
    assert f"{accuracy:.2f} %" in doubts(accuracy, SOUND, chance=chance_level(MNIST), outputs=10)
    assert doubts(28.0, SOUND, chance=chance_level(MNIST), outputs=10) == ""


@pytest.mark.parametrize("loss", [1e9, 24.0, math.inf, math.nan])
@pytest.mark.parametrize("name", SOUND)
def test_an_absurd_loss_is_doubted(name: str, loss: float) -> None:
    sentence = doubts(98.0, SOUND | {name: loss}, chance=12.6, outputs=10)
    assert name in sentence
    assert f"{loss:.3g}" in sentence
    assert "\n" not in sentence


def test_no_recorded_result_is_doubted() -> None:
    for row in store.rows(RESULTS, "results.csv"):
        if row["status"] != "ok":
            continue
        losses = {"test loss": float(row["loss"]), "training loss": float(row["train_loss"])}
        outputs = ZOO[row["model"]].spec.outputs
        assert not doubts(float(row["accuracy"]), losses, chance=chance_level(MNIST), outputs=outputs), row
