"""Each verdict on invented rows for which it is the right one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.tables import add_pairs, add_run

from common.analysis import frames, pooling, power, verdicts
from common.model.zoo import ZOO


@pytest.mark.parametrize(
    "differences, words",
    [
        ([0.01, -0.01, 0.02, -0.02, 0.0], "equivalent"),
        ([0.04, 0.05, 0.04, 0.05, 0.045], "different but negligible"),
        ([0.3, 0.35, 0.28, 0.31, 0.33], "different"),
        ([0.2, -0.2, 0.1, -0.15], "inconclusive"),
        ([0.5], "one pair of runs has no interval"),
    ],
)
def test_verdict(tmp_path: Path, differences: list[float], words: str) -> None:
    add_pairs(tmp_path, differences)
    (verdict,), refused = verdicts.judge(frames.read(tmp_path))
    assert verdict.verdict == words
    assert (verdict.more_seeds is not None) == (words == "inconclusive")
    assert verdict.missing_seeds == ZOO["tf-model-1"].planned_seeds - len(differences)
    assert refused == []


def test_a_third_framework_changes_no_verdict(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.01, -0.01, 0.02, -0.02, 0.0])
    (before,), _ = verdicts.judge(frames.read(tmp_path))
    for seed in (1, 2):
        add_run(tmp_path, framework="a third", seed=seed, accuracy=50.0)
    (after,), refused = verdicts.judge(frames.read(tmp_path))
    assert (after.comparison, after.verdict) == (before.comparison, before.verdict)
    assert refused == []


def test_more_networks_make_a_verdict_harder(tmp_path: Path) -> None:
    """The same pairs, alone and as one of four networks of which the others are inconclusive."""
    narrow = [0.03, -0.05, 0.06, -0.04, 0.02, -0.03]
    add_pairs(tmp_path / "alone", narrow)
    add_pairs(tmp_path / "four", narrow)
    for model in ("nextjournal", "under-5k", "under-8k"):
        add_pairs(tmp_path / "four", [0.5, -0.4, 0.3, -0.5, 0.2, -0.3], model)
    (alone,), _ = verdicts.judge(frames.read(tmp_path / "alone"))
    judged, _ = verdicts.judge(frames.read(tmp_path / "four"))
    of_four = next(verdict for verdict in judged if verdict.model == "tf-model-1")
    assert of_four.p_equivalence == pytest.approx(4 * alone.comparison.p_equivalence)


@pytest.mark.parametrize("field, value", [("device", "cuda"), ("world_size", 2)])
def test_runs_that_differ_in_more_are_refused_with_the_field(
    tmp_path: Path, field: str, value: object
) -> None:
    add_run(tmp_path, framework="pytorch")
    add_run(tmp_path, framework="tensorflow", **{field: value})
    judged, (reason,) = verdicts.judge(frames.read(tmp_path))
    assert judged == []
    assert field in reason


def test_runs_without_a_seed_in_common_are_refused(tmp_path: Path) -> None:
    add_run(tmp_path, framework="pytorch", seed=1)
    add_run(tmp_path, framework="tensorflow", seed=2)
    judged, (reason,) = verdicts.judge(frames.read(tmp_path))
    assert judged == []
    assert "no seed in common" in reason


def test_error_of_the_test_set_is_that_of_a_share(tmp_path: Path) -> None:
    """All runs wrong in the same 100 of 10,000 images: sqrt(p (1 - p) / n)."""
    wrong = dict.fromkeys(range(100), 1)
    for framework in ("pytorch", "tensorflow"):
        for seed in (1, 2):
            add_run(tmp_path, framework=framework, seed=seed, errors=wrong)
    tables = frames.read(tmp_path)
    share = 100 * math.sqrt(0.01 * 0.99 / 10_000)
    for group in pooling.groups(tables.runs):
        assert verdicts.image_error(group, tables.errors) == pytest.approx(share, rel=1e-3)


def test_a_repeated_seed_weighs_once_in_the_error_of_the_test_set(tmp_path: Path) -> None:
    """One seed wrong in 300 images, run three times, one in 100 of them, by hand: the fractions (1 of 100,
    half of 200) have the variance 0.0146, of which the two seeds account for 0.005."""
    for seed, count in ((1, 300), (1, 300), (1, 300), (2, 100)):
        add_run(tmp_path, seed=seed, errors=dict.fromkeys(range(count), 1))
    tables = frames.read(tmp_path)
    (group,) = pooling.groups(tables.runs)
    expected = 100 * math.sqrt(0.0096 / 10_000)
    assert verdicts.image_error(group, tables.errors) == pytest.approx(expected, rel=1e-3)


def test_images_of_one_difficulty_leave_no_error_of_the_test_set(tmp_path: Path) -> None:
    """Five seeds, each wrong in other images at random: the fractions differ by the seeds alone."""
    random = np.random.default_rng(0)
    for seed in range(1, 6):
        wrong = random.choice(10_000, 100, replace=False)
        add_run(tmp_path, seed=seed, errors=dict.fromkeys(map(int, wrong), 1))
    tables = frames.read(tmp_path)
    (group,) = pooling.groups(tables.runs)
    assert verdicts.image_error(group, tables.errors) < 0.015  # 0.045 with the seeds' part


def test_more_networks_ask_for_more_seeds(tmp_path: Path) -> None:
    """The number is that of the level which Holm leaves beside the other networks."""
    add_pairs(tmp_path, [0.2, -0.2, 0.1, -0.15])
    (alone,), _ = verdicts.judge(frames.read(tmp_path))
    for model in ("nextjournal", "under-5k", "under-8k"):
        add_pairs(tmp_path, [0.5, -0.4, 0.3, -0.5], model)
    of_four = next(v for v in verdicts.judge(frames.read(tmp_path))[0] if v.model == "tf-model-1")
    assert alone.more_seeds == power.more_seeds(alone.comparison, p_difference=0.05, p_equivalence=0.05)
    level = 0.05 / 4
    assert of_four.more_seeds == power.more_seeds(alone.comparison, p_difference=level, p_equivalence=level)
    assert of_four.more_seeds > alone.more_seeds


def test_ratios_of_errors_and_training_losses(tmp_path: Path) -> None:
    """Errors of 2 and 1 %, 1 and 1 %: the geometric mean ratio is sqrt(2). Losses are a tenth apart."""
    for model in ("tf-model-1", "nextjournal"):
        for seed, accuracy in enumerate((98.0, 99.0), start=1):
            add_run(tmp_path, model, "pytorch", seed=seed, accuracy=accuracy, train_loss=0.11 * seed)
            add_run(tmp_path, model, "tensorflow", seed=seed, accuracy=99.0, train_loss=0.1 * seed)
    tables = frames.read(tmp_path)
    errors, losses = (verdicts.judge_ratios(tables, outcome) for outcome in verdicts.OUTCOMES)
    assert [verdict.model for verdict in errors] == ["tf-model-1", "nextjournal"]
    assert errors[0].ratio.mean == pytest.approx(math.sqrt(2))
    assert errors[0].p_difference == pytest.approx(2 * errors[0].logarithms.p_difference)
    assert errors[0].verdict == "inconclusive"
    assert losses[0].ratio.mean == pytest.approx(1.1)
    assert losses[0].verdict == "different"


def test_a_network_without_errors_has_no_ratio(tmp_path: Path) -> None:
    add_run(tmp_path, framework="pytorch", accuracy=100.0)
    add_run(tmp_path, framework="tensorflow", accuracy=99.0)
    assert verdicts.judge_ratios(frames.read(tmp_path), "error rates") == []
    (loss,) = verdicts.judge_ratios(frames.read(tmp_path), "training losses")
    assert loss.verdict == verdicts.ONE_RUN
