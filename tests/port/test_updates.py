"""Update rules from settings, by hand for one weight; the frameworks' own are compared in test_check.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.port import optimizer, updates
from common.port.updates import Rule

ONE = {"w": np.array([1.0])}


def after(rule: Rule, gradients: list[float], factors: list[float]) -> list[float]:
    steps = [{"w": np.array([gradient])} for gradient in gradients]
    return [float(step["w"][0]) for step in updates.trajectory(rule, ONE, steps, factors)]


def test_the_place_of_the_rate_shows_when_it_changes() -> None:
    outside = Rule(kind="sgd", rate=0.1, momentum=0.5)
    inside = Rule(kind="sgd", rate=0.1, momentum=0.5, rate_place="inside")
    assert after(outside, [1, 1], [1, 1]) == pytest.approx(after(inside, [1, 1], [1, 1]))
    assert after(outside, [1, 0], [1, 0.1]) == pytest.approx([0.9, 0.9 - 0.01 * 0.5])
    assert after(inside, [1, 0], [1, 0.1]) == pytest.approx([0.9, 0.9 - 0.1 * 0.5])


def test_nesterov_looks_one_step_ahead() -> None:
    rule = Rule(kind="sgd", rate=0.1, momentum=0.5, nesterov=True)
    assert after(rule, [1, 0], [1, 1]) == pytest.approx([1 - 0.1 * 1.5, 1 - 0.1 * 1.5 - 0.1 * 0.25])


def test_the_place_of_epsilon_shows_for_small_gradients() -> None:
    first, second = (
        Rule(kind="adam", rate=0.1, epsilon=1e-8, epsilon_place=place) for place in ("after", "before")
    )
    assert after(first, [1e-8], [1]) == pytest.approx([1 - 0.1 / 2])
    assert after(second, [1e-8], [1]) == pytest.approx([1 - 0.1 / (1 + 1 / np.sqrt(0.001))])
    assert after(first, [1.0], [1]) == pytest.approx(after(second, [1.0], [1]), rel=1e-6)


def test_decay_is_of_the_gradient_or_of_the_weight() -> None:
    coupled = Rule(kind="adam", rate=0.1, decay=0.5, decay_kind="coupled")
    assert after(coupled, [0.0], [1]) == pytest.approx([0.9])  # Adam takes any gradient for its sign
    assert after(Rule(kind="adam", rate=0.1, decay=0.5, epsilon=1e-8), [0.0], [1]) == pytest.approx([0.95])


def test_gradients_are_clipped_by_value_by_norm_and_by_the_norm_of_all() -> None:
    gradients = {"a": np.array([3.0, 4.0]), "b": np.array([0.0, 12.0])}
    by_value = updates.clipped(("value", 3.5), gradients)
    np.testing.assert_array_equal(by_value["a"], [3.0, 3.5])
    np.testing.assert_allclose(updates.clipped(("norm", 1.0), gradients)["a"], [0.6, 0.8])
    np.testing.assert_allclose(updates.clipped(("global", 1.0), gradients)["b"], [0.0, 12 / 13])
    assert updates.clipped(("norm", 100.0), gradients)["b"][1] == 12.0


def test_rules_are_read_from_the_settings_of_the_frameworks() -> None:
    first = updates.pytorch(["Mine", "SGD"], {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01})
    assert first
    assert (first.kind, first.decay_kind, first.rate_place) == ("sgd", "coupled", "outside")
    second = updates.keras(["SGD"], {"learning_rate": 0.1, "momentum": 0.9, "global_clipnorm": 1.0})
    assert second
    assert (second.rate_place, second.clip) == ("inside", ("global", 1.0))
    assert second.momentum != 0.9  # in single precision, as Keras casts it
    assert updates.without_rounding(second, first).momentum == 0.9
    third = updates.keras(["Adam"], {"learning_rate": 0.1, "beta_1": 0.0, "beta_2": 0.5})
    assert third
    assert third.betas == third.correction == (0.0, 0.5)
    assert updates.pytorch(["LBFGS"], {"lr": 0.1}) is None
    assert updates.keras(["SGD"], {"learning_rate": 0.1, "schedule": "CosineDecay"}) is None


def test_a_decay_on_one_side_is_mended_in_the_kind_that_the_other_can_have() -> None:
    """Keras' optimizers decouple it; PyTorch's Adam and SGD add it to the gradient."""
    none, decayed = Rule(kind="adam", rate=0.1), Rule(kind="adam", rate=0.1, decay=0.01)
    coupled = replace(decayed, decay_kind="coupled")
    assert "regularizers.L2(0.005)" in optimizer._fix("decay", coupled, none)["keras"]
    assert optimizer._fix("decay", decayed, none)["keras"] == "weight_decay=0.01"
    plain = replace(none, decay_kind="coupled")
    assert optimizer._fix("decay", plain, decayed)["pytorch"].startswith(
        "torch.optim.AdamW(weight_decay=0.01)"
    )
    assert optimizer._fix("decay", none, decayed)["pytorch"] == "weight_decay=0.01"
    assert optimizer._fix("decay", coupled, none)["pytorch"] == "weight_decay=0"
