"""An effect is a paired difference, and the gap between the frameworks is the sum of its parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run, add_variants

from common.analysis import ablation, frames
from common.model.zoo import ZOO


def test_variants_are_the_parts_that_a_network_has() -> None:
    assert ablation.variants(ZOO["under-5k"].spec) == ["none", "init", "norm", "optimizer", "all"]
    assert ablation.variants(ZOO["tf-model-1"].spec) == ["none", "init", "optimizer", "all"]
    assert list(ablation.inapplicable_parts(ZOO["tf-model-1"].spec)) == ["norm"]
    assert ablation.native_column("all") == "init+norm+optimizer"


def test_the_gap_is_attributed_to_its_parts(tmp_path: Path) -> None:
    """0.21 points with all native: 0.17 init, 0.02 norm, 0 optimizer, 0.01 pinned, 0.01 together."""
    add_variants(tmp_path, none=(99.01, 99.0), init=(99.08, 98.9), norm=(99.03, 99.0))
    add_variants(tmp_path, optimizer=(99.01, 99.0), all=(99.1, 98.89))
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    attribution = result.attribution
    assert attribution is not None
    assert attribution.gap.mean == pytest.approx(0.21)
    assert attribution.gap.interval == pytest.approx((0.21, 0.21))
    assert attribution.pinned.mean == pytest.approx(0.01)
    assert {part: added.mean for part, added in attribution.parts.items()} == {
        "init": pytest.approx(0.17),
        "norm": pytest.approx(0.02),
        "optimizer": pytest.approx(0.0, abs=1e-9),
    }
    assert attribution.interaction == pytest.approx(0.01)
    effect = result.effect("tensorflow", "init", "accuracy")
    assert effect is not None
    assert effect.mean == pytest.approx(-0.1)
    assert effect.n == 3


def test_an_ablation_is_of_one_machine(tmp_path: Path) -> None:
    """Pinned runs on another machine, better and quicker ones, are left out."""
    add_variants(tmp_path, none=(99.0, 99.0), init=(99.1, 99.0))
    for seed in (2, 4):
        fields = {"seed": seed, "machine": "another", "accuracy": 99.9, "train_seconds": 5.0}
        add_run(tmp_path, "under-5k", **fields)
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    seconds, accuracy = (result.effect("pytorch", "init", name) for name in ("train_seconds", "accuracy"))
    assert seconds is not None
    assert accuracy is not None
    assert (seconds.n, seconds.mean) == (3, 0.0)
    assert (accuracy.n, accuracy.mean) == (3, pytest.approx(0.1))
    assert list(result.values("pytorch", "none", "accuracy")) == [1, 2, 3]


def test_pinned_runs_alone_are_no_ablation(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0))
    assert ablation.ablations(frames.read(tmp_path).runs) == []


def test_an_unfinished_ablation_has_no_attribution(tmp_path: Path) -> None:
    add_variants(tmp_path, seeds=1, model="tf-model-1", none=(97.0, 97.1), init=(97.2, 97.0))
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    effect = result.effect("pytorch", "init", "accuracy")
    assert effect is not None
    assert (effect.mean, effect.interval) == (pytest.approx(0.2), None)
    assert result.attribution is None


def test_runs_of_other_recipes_are_in_no_variant(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), init=(99.0, 99.0))
    add_run(tmp_path, "under-5k", native="init", accuracy=10.0, recipe={"lr": 0.5})
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    assert len(result.groups["pytorch", "init"].runs) == 3
