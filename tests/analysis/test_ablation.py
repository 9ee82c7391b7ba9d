"""An effect is a paired difference, and the gap between the frameworks is the sum of its parts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from support.tables import add_run, add_variants

from common.analysis import ablation, frames, significance
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
    assert attribution.interaction.mean == pytest.approx(0.01)
    effect = result.effect("tensorflow", "init", "accuracy")
    assert effect is not None
    assert effect.mean == pytest.approx(-0.1)
    assert effect.n == 3


def test_an_ablation_is_of_one_machine(tmp_path: Path) -> None:
    """Pinned runs on another machine, better and quicker ones, are left out."""
    add_variants(tmp_path, seeds=5, none=(99.0, 99.0), init=(99.1, 99.0))
    for seed in (2, 4):
        fields = {"seed": seed, "machine": "another", "accuracy": 99.9, "train_seconds": 5.0}
        add_run(tmp_path, "under-5k", **fields)
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    seconds, accuracy = (result.effect("pytorch", "init", name) for name in ("train_seconds", "accuracy"))
    assert seconds is not None
    assert accuracy is not None
    assert (seconds.n, seconds.mean) == (5, 0.0)
    assert (accuracy.n, accuracy.mean) == (5, pytest.approx(0.1))
    assert list(result.values("pytorch", "none", "accuracy")) == [1, 2, 3, 4, 5]


def test_an_ablation_is_of_one_number_of_threads_and_times_only_runs_alone(tmp_path: Path) -> None:
    add_variants(tmp_path, seeds=5, none=(99.0, 99.0), init=(99.1, 99.0))
    for seed, at_once in ((2, 1), (6, 2)):
        add_run(tmp_path, "under-5k", seed=seed, threads=1, accuracy=99.9, at_once=at_once)
    runs = frames.read(tmp_path).runs
    (result,) = ablation.ablations(runs)
    assert max(result.values("pytorch", "none", "accuracy").values()) < 99.9
    (result,) = ablation.ablations(runs.assign(at_once=2))
    assert len(result.values("pytorch", "none", "accuracy")) == 5
    assert result.effect("pytorch", "init", "train_seconds") is None
    for changes in ({"at_once": None}, {"load_before": 5.0}):  # not known to have had the machine, or busy
        (result,) = ablation.ablations(runs.assign(**changes))
        assert result.values("pytorch", "none", "train_seconds") == {}
    (result,) = ablation.ablations(runs[runs["seed"] < 5])
    assert result.values("pytorch", "none", "accuracy")
    assert result.values("pytorch", "none", "train_seconds") == {}


def test_an_ablation_is_of_one_device(tmp_path: Path) -> None:
    """Also where the pinned runs on the other are more."""
    add_variants(tmp_path, none=(99.0, 99.0), init=(99.1, 99.0))
    for seed in range(4, 9):
        add_run(tmp_path, "under-5k", seed=seed, accuracy=99.9, device="cuda a GPU")
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    assert list(result.values("pytorch", "none", "accuracy")) == [1, 2, 3]


def test_of_two_places_that_with_both_frameworks_is_the_ablation(tmp_path: Path) -> None:
    """The other has more runs, of one framework."""
    add_variants(tmp_path, none=(99.0, 99.0), init=(99.1, 99.0))
    for seed in range(1, 11):
        for variant in ("none", "init"):
            add_run(tmp_path, "under-5k", native=variant, seed=seed, accuracy=98.0, machine="another")
    runs = frames.read(tmp_path).runs
    (result,) = ablation.ablations(runs)
    effects = [result.effect(framework, "init", "accuracy") for framework in ("pytorch", "tensorflow")]
    assert [effect and effect.n for effect in effects] == [3, 3]
    (result,) = ablation.ablations(runs[runs["framework"] == "pytorch"])
    assert len(result.values("pytorch", "init", "accuracy")) == 10


def test_seconds_have_an_effect_over_enough_seeds_in_common(tmp_path: Path) -> None:
    add_variants(tmp_path, seeds=6, none=(99.0, 99.0), init=(99.1, 99.0))
    runs = frames.read(tmp_path).runs
    pinned = runs["native"] == "none"
    (result,) = ablation.ablations(runs[(pinned & (runs["seed"] < 6)) | (~pinned & (runs["seed"] > 1))])
    assert result.values("pytorch", "none", "train_seconds")
    assert result.effect("pytorch", "init", "train_seconds") is None


def test_seconds_are_of_the_code_of_the_last_variant(tmp_path: Path) -> None:
    add_variants(tmp_path, seeds=6, none=(99.0, 99.0), init=(99.1, 99.0))
    runs = frames.read(tmp_path).runs
    older = runs[runs["native"] == "none"].assign(commit="older", train_seconds=99.0)
    (result,) = ablation.ablations(pd.concat([runs, older], ignore_index=True))
    assert set(result.values("pytorch", "none", "train_seconds").values()) == {10.0}
    (result,) = ablation.ablations(pd.concat([runs[runs["native"] != "none"], older], ignore_index=True))
    assert result.effect("pytorch", "init", "train_seconds") is None


def test_a_part_of_one_framework_alone_is_no_part_of_the_interaction(tmp_path: Path) -> None:
    add_variants(tmp_path, model="tf-model-1", none=(97.0, 97.1), all=(97.2, 97.0))
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    assert result.attribution is not None
    add_run(tmp_path, "tf-model-1", native="init", accuracy=97.5)
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    assert result.attribution is None


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


def test_the_parts_of_a_gap_are_of_the_same_seeds(tmp_path: Path) -> None:
    """`all` and `init` have two seeds, the pinned runs three: the third, far off, counts in no part."""
    add_variants(tmp_path, seeds=2, model="tf-model-1", none=(97.0, 97.0), init=(97.3, 97.0))
    add_variants(tmp_path, seeds=2, model="tf-model-1", optimizer=(97.1, 97.0), all=(97.6, 97.1))
    add_run(tmp_path, "tf-model-1", "pytorch", seed=3, accuracy=90.0)
    add_run(tmp_path, "tf-model-1", "tensorflow", seed=3, accuracy=97.0)
    (result,) = ablation.ablations(frames.read(tmp_path).runs)
    attribution = result.attribution
    assert attribution is not None
    of_all = (attribution.gap, attribution.pinned, *attribution.parts.values(), attribution.interaction)
    assert {comparison.n for comparison in of_all} == {2}
    means = [comparison.mean for comparison in of_all]
    assert means == pytest.approx([0.5, 0.0, 0.3, 0.1, 0.1], abs=1e-9)
    assert means[0] == pytest.approx(sum(means[1:]))
    assert attribution.interaction.interval == pytest.approx((0.1, 0.1))


def test_every_effect_of_the_page_is_counted(tmp_path: Path) -> None:
    """Three variants, two columns and two frameworks; the gap, the pinned gap, two parts and the interaction.
    Effects of one seed have no interval."""
    complete = {"none": (97.0, 97.0), "init": (97.3, 97.0), "optimizer": (97.1, 97.0), "all": (97.6, 97.1)}
    add_variants(tmp_path, seeds=5, model="tf-model-1", **complete)
    assert ablation.family_size(ablation.ablations(frames.read(tmp_path).runs)) == 3 * 2 * 2 + 5
    add_variants(tmp_path, seeds=1, model="under-5k", **complete)
    assert ablation.family_size(ablation.ablations(frames.read(tmp_path).runs)) == 3 * 2 * 2 + 5


def test_an_adjusted_interval() -> None:
    """Of differences 1, 2, 3: mean 2, standard deviation 1."""
    effect = significance.compare([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert ablation.adjusted(effect, family=1).interval == pytest.approx(effect.interval)
    low, high = ablation.adjusted(effect, family=20).interval or (0, 0)
    half = scipy.stats.t.ppf(1 - 0.05 / 40, 2) / math.sqrt(3)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_all_intervals_hold_at_once() -> None:
    """In 19 of 20 families of twelve null effects of ten seeds, as their definition promises."""
    random, family = np.random.default_rng(7), 12
    differences = random.normal(size=(2000, family, 10))
    means, errors = differences.mean(axis=2), differences.std(axis=2, ddof=1) / math.sqrt(10)
    effect = significance.compare(list(differences[0, 0]), [0.0] * 10)
    adjusted = ablation.adjusted(effect, family=family).interval or (0, 0)
    factor = (adjusted[1] - adjusted[0]) / 2 / errors[0, 0]
    covered = (abs(means) <= factor * errors).all(axis=1).mean()
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    "model, framework, variant, control",
    [
        ("tf-model-1", "tensorflow", "init", True),
        ("tf-model-1", "pytorch", "init", False),
        ("pytorch-model-1", "pytorch", "init", True),
        ("pytorch-model-1", "tensorflow", "init", False),
        ("tf-model-1", "tensorflow", "all", False),
        ("tf-model-1", "tensorflow", "optimizer", False),
    ],
)
def test_a_draw_from_the_same_distribution_is_a_negative_control(
    model: str, framework: str, variant: str, control: bool
) -> None:
    assert ablation.is_negative_control(ZOO[model].spec, framework, variant) == control
