"""A mistake's cost is the mean over seeds of the right accuracy less its own, with simultaneous intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.mistakes import add_mistakes

from common.analysis import frames, mistakes
from common.analysis.mistakes import Cost


def costs(folder: Path) -> dict[tuple[str, str], Cost]:
    found = mistakes.costs(frames.read(folder).mistakes)
    return {(cost.mistake.name, cost.model): cost for cost in found}


def test_a_cost_is_paired_by_seed(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        add_mistakes(tmp_path, seed=seed, none=97 + seed / 10, **{"loss-sum": 96 + seed / 10})
    add_mistakes(tmp_path, seed=4, **{"loss-sum": 50.0})  # without a right run
    (cost,) = costs(tmp_path).values()
    assert (cost.points.mean, cost.points.n) == (pytest.approx(1.0), 3)
    assert cost.is_certain
    assert not cost.found
    assert cost.diverged == 0


def test_intervals_are_wider_the_more_there_are(tmp_path: Path) -> None:
    names = ("loss-sum", "no-shuffling", "softmax-twice")
    for seed in (1, 2, 3):
        add_mistakes(tmp_path, seed=seed, none=97.0, **{"loss-sum": 96 - seed / 10})
        for name in names[1:]:
            add_mistakes(tmp_path, model="speedrun", seed=seed, none=99.0, **{name: 98 - seed / 10})
    alone = tmp_path / "alone"
    for seed in (1, 2, 3):
        add_mistakes(alone, seed=seed, none=97.0, **{"loss-sum": 96 - seed / 10})
    many, one = (costs(folder)["loss-sum", "tf-model-1"].points for folder in (tmp_path, alone))
    assert many.mean == one.mean
    assert many.interval[0] < one.interval[0] < one.interval[1] < many.interval[1]


def test_the_last_process_of_a_seed_and_the_newest_arithmetic_count(tmp_path: Path) -> None:
    add_mistakes(tmp_path, started="2026-01-02T00:00:00Z", none=97.0, **{"loss-sum": 96.0})
    add_mistakes(tmp_path, started="2026-01-01T00:00:00Z", none=97.0, **{"loss-sum": 10.0})
    add_mistakes(tmp_path, seed=2, numerics=0.0, none=97.0, **{"loss-sum": 10.0})
    add_mistakes(tmp_path, seed=3, recipe_hash="0123456789ab", none=97.0, **{"loss-sum": 10.0})
    cost = costs(tmp_path)["loss-sum", "tf-model-1"]
    assert (cost.points.mean, cost.points.n) == (1.0, 1)


@pytest.mark.parametrize(
    "difference, found", [(9e-6, False), (1.1e-5, True), (None, True)], ids=["rounding", "more", "not finite"]
)
def test_a_forward_check_finds_more_than_rounding(
    tmp_path: Path, difference: float | None, found: bool
) -> None:
    add_mistakes(tmp_path, difference=difference, floor=1e-6, none=97.0, **{"loss-sum": 96.0})
    assert costs(tmp_path)["loss-sum", "tf-model-1"].found == found


def test_diverged_runs_are_counted(tmp_path: Path) -> None:
    add_mistakes(tmp_path, none=97.0)
    add_mistakes(tmp_path, status="diverged", **{"loss-sum": 9.8})
    assert costs(tmp_path)["loss-sum", "tf-model-1"].diverged == 1
