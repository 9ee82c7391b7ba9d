"""A ratio needs a clock that bears it; a time to a target, pairs of one code that all reach it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest
import scipy.stats
from support.tables import aa_rows, add_run, timing_row

from common.analysis import aa, frames
from common.analysis.aa import MeasuredRatio
from common.analysis.significance import Ratio
from common.frameworks import PAIR
from common.tables import store
from common.tables.schema import SpeedRow


def speed(folder: Path, *sessions: list[SpeedRow]) -> pd.DataFrame:
    for rows in sessions:
        store.append_rows(folder, "speed.csv", rows)
    return frames.read(folder).speed


def measured(table: pd.DataFrame, quantity: str = "training") -> MeasuredRatio:
    pairs = aa.aa_pairs(table, quantity)
    result = aa.measured_ratio(*(pairs["tf-model-1", framework] for framework in PAIR))
    assert result is not None
    return result


def test_an_exact_clock_bears_the_ratio(tmp_path: Path) -> None:
    """Each framework A and B in three rounds; PyTorch is twice as fast in each of them."""
    first = aa_rows([100.0, 102.0, 98.0], [102.0, 100.0, 98.0])
    second = aa_rows([50.0, 51.0, 49.0], [51.0, 50.0, 49.0], framework="tensorflow")
    table = speed(tmp_path, first, second)
    result = measured(table)
    assert (result.ratio.mean, result.ratio.n) == (pytest.approx(2), 3)
    assert result.ratio.interval == pytest.approx((2, 2))
    assert result.borne
    pair = aa.aa_pairs(table, "training")["tf-model-1", "pytorch"]
    assert pair.mean == pytest.approx(100, abs=0.1)
    # A over B is 100/102, 102/100, 1: their logarithms have the mean 0.
    half = scipy.stats.t.ppf(0.975, 2) * math.log(1.02) / math.sqrt(3)
    assert aa.clock_error(pair.self_ratio) == pytest.approx(half)


def test_a_noisy_clock_bears_no_small_ratio_and_an_exact_one_does(tmp_path: Path) -> None:
    """The interval of the first contains 1 and is wide, that of the second excludes 1 and is narrow."""
    for quantity, a, b in (
        ("training", [100.0, 140.0, 80.0, 90.0], [120.0, 90.0, 110.0, 95.0]),
        ("memory", [100.8, 101.0, 100.9, 101.1], [100.0, 100.1, 100.0, 100.2]),
    ):
        for framework, factor in zip(PAIR, (1.0, 1.1), strict=True):
            rows = aa_rows(
                [factor * x for x in a], [factor * x for x in b], framework=framework, quantity=quantity
            )
            store.append_rows(tmp_path, "speed.csv", rows)
    table = frames.read(tmp_path).speed
    assert not measured(table, "training").borne
    assert not aa.aa_pairs(table, "training")["tf-model-1", "pytorch"].self_ratio.excludes_one
    assert measured(table, "memory").borne
    assert aa.aa_pairs(table, "memory")["tf-model-1", "pytorch"].self_ratio.excludes_one


@pytest.mark.parametrize(
    "low, high, ratio, borne",
    [
        (0.96, 1.04, 1.0, True),
        (1.02, 1.06, 1.0, False),
        (0.94, 1.0, 1.0, False),
        (0.9, 1.1, 0.7, True),  # log 0.7 is -0.36, a third of it 0.119; log 0.9 is -0.105
        (0.88, 1.1, 0.7, False),
        (0.9, 1.1, 1 / 0.7, True),
    ],
)
def test_what_a_clock_bears(low: float, high: float, ratio: float, borne: bool) -> None:
    error = aa.clock_error(Ratio(mean=1.0, interval=(low, high), n=3))
    assert aa.bears(error, ratio) == borne


def test_one_round_bears_nothing(tmp_path: Path) -> None:
    rows = [aa_rows([100.0 * n], [100.0 * n], framework=name) for n, name in enumerate(PAIR, start=1)]
    result = measured(speed(tmp_path, *rows))
    assert result.ratio.mean == pytest.approx(0.5)
    assert not result.borne


def test_sessions_of_one_commit_on_one_machine_count_together(tmp_path: Path) -> None:
    """Not those of other code, on another machine, of uncommitted code, or of a user's own network."""
    sessions = [f"2026-0{month}-01T00:00:00+00:00" for month in (1, 2, 3, 4)]
    changes = ({"commit": "ba9876543210"}, {"machine": "another"}, {}, {})
    table = speed(
        tmp_path,
        *(
            [dataclasses.replace(row, **change) for row in aa_rows([7.0, 9.0], [7.0, 9.0], session=session)]
            for session, change in zip(sessions, changes, strict=True)
        ),
    )
    pair = aa.aa_pairs(table, "training")["tf-model-1", "pytorch"]
    assert pair.rounds == [(session, number) for session in sessions[2:] for number in (1, 2)]
    assert pair.self_ratio.n == 4
    for alone, recipes in (
        (table.assign(commit="0123456789ab-dirty"), aa.ZOO_RECIPES),
        (table.assign(model="mine"), {"mine": aa.ZOO_RECIPES["tf-model-1"]}),
    ):
        (pair,) = aa.aa_pairs(alone, "training", recipes).values()
        assert pair.rounds == [(sessions[-1], number) for number in (1, 2)]


def test_a_later_session_of_one_framework_stands_in_for_none_of_both(tmp_path: Path) -> None:
    later = aa_rows([9.0, 9.1], [9.1, 9.0], session="2026-05-01T00:00:00+00:00", framework="pytorch")
    table = speed(
        tmp_path,
        *(aa_rows([1.0, 1.1], [1.1, 1.0], framework=framework) for framework in PAIR),
        [dataclasses.replace(row, commit="ba9876543210") for row in later],
    )
    assert measured(table).ratio.mean == pytest.approx(1)
    pairs = aa.aa_pairs(table[table["framework"] == "pytorch"], "training")
    assert pairs["tf-model-1", "pytorch"].mean == pytest.approx(9.05, abs=0.01)


@pytest.mark.parametrize("model, epochs, views", [("under-8k", 15, 0), ("under-5k-tuned", 10, 4)])
def test_quantities_of_a_shortened_run(tmp_path: Path, model: str, epochs: int, views: int) -> None:
    """Recipes of epochs of 468 steps of 128 images, one with test-time augmentation, and a run that trained
    156 steps and tested twice on 40,000 images."""
    measured = {
        **{"train_seconds": 5.0, "first_step_seconds": 0.5, "preprocess_seconds": 0.5},
        **{"predict_seconds": 2.0, "total_seconds": 12.0, "import_seconds": 3.0, "peak_memory_mib": 800.0},
        **{"training_images": 20_000, "test_images": 40_000},
        **{"trained_images": 156 * 128, "tested_images": 80_000},
    }
    rows = [
        timing_row(f"again {name}", f"{arm} {number}", value, model=model)
        for number in (1, 2)
        for arm in "AB"
        for name, value in measured.items()
    ]
    table = speed(tmp_path, rows)
    values = {name: aa.aa_pairs(table, name)[model, "pytorch"].mean for name in aa.QUANTITIES}
    training = 155 * 128 / 4.0
    tested = (epochs + 1 + views) * 10_000
    left_out = (epochs * 468 - 156) * 128 / training + (tested - 80_000) / 20_000
    assert values == {
        "training": pytest.approx(training),
        "prediction": pytest.approx(20_000),
        "memory": pytest.approx(800),
        "import": pytest.approx(3),
        "first step": pytest.approx(0.5),
        "whole run": pytest.approx(12 + 10_000 * 0.5 / 20_000 + left_out),
    }


def test_a_whole_run_on_other_data_has_their_images(tmp_path: Path) -> None:
    """Fifteen epochs of 50 steps of 128 images of 6,500, of which a run trained one without the tests."""
    measured = {
        **{"train_seconds": 5.0, "first_step_seconds": 0.5, "preprocess_seconds": 0.5},
        **{"predict_seconds": 2.0, "total_seconds": 12.0, "training_images": 6500, "test_images": 40},
        **{"all_training_images": 6500, "all_test_images": 40, "trained_images": 6400, "tested_images": 80},
    }
    rows = [
        timing_row(f"again {name}", f"{arm} 1", value, model="under-8k")
        for arm in "AB"
        for name, value in measured.items()
    ]
    pair = aa.aa_pairs(speed(tmp_path, rows), "whole run")["under-8k", "pytorch"]
    training = (6400 - 128) / 4.0
    assert pair.mean == pytest.approx(12 + 14 * 6400 / training + (16 * 40 - 80) / 20)


def test_a_run_with_less_time_than_is_taken_from_it_has_no_speed(tmp_path: Path) -> None:
    rows = aa_rows([2.0, 2.0, 2.0], [2.0, 2.0, 2.0])
    preprocess = [
        dataclasses.replace(row, measure="again preprocess_seconds", value=1e6 * (row.arm == "A 2"))
        for row in rows
        if row.measure == "again train_seconds"
    ]
    others = [row for row in rows if row.measure != "again preprocess_seconds"]
    pair = aa.aa_pairs(speed(tmp_path, [*others, *preprocess]), "training")["tf-model-1", "pytorch"]
    assert [number for _, number in pair.rounds] == [1, 3]


def test_a_session_without_a_quantity_has_no_pairs_of_it(tmp_path: Path) -> None:
    table = speed(tmp_path, aa_rows([1.0, 1.0], [1.0, 1.0], quantity="memory"))
    assert aa.aa_pairs(table, "training") == {}
    assert aa.aa_pairs(table, "memory")


def test_the_mean_over_networks(tmp_path: Path) -> None:
    """Ratios of 2 and 0.5 in two networks have the geometric mean 1, whatever their clocks; a third network
    without the second framework does not count."""
    for model, ratio, other in (("tf-model-1", 2.0, 1.5), ("under-8k", 0.5, 1 / 1.5)):
        for framework, value in zip(PAIR, (100.0 * ratio, 100.0), strict=True):
            rows = aa_rows([other * value] * 2, [value] * 2, model=model, framework=framework)
            store.append_rows(tmp_path, "speed.csv", rows)
    table = speed(tmp_path, aa_rows([5.0, 5.0], [1.0, 1.0], model="best"))
    mean = aa.over_networks(aa.aa_pairs(table, "training"))
    assert mean is not None
    assert (mean.ratio.mean, mean.ratio.n) == (pytest.approx(1), 2)
    half = scipy.stats.t.ppf(0.975, 1) * math.log(2)
    assert mean.ratio.interval == pytest.approx((math.exp(-half), math.exp(half)), rel=1e-4)
    # The self-ratios are 1.5 and its inverse.
    assert mean.clock_error == pytest.approx(scipy.stats.t.ppf(0.975, 1) * math.log(1.5), rel=1e-4)
    assert aa.over_networks({}) is None


# Time to a target


def add_pair(folder: Path, seed: int = 1, accuracy: float = 98.5) -> None:
    """A run in each framework."""
    for framework in PAIR:
        add_run(folder, framework=framework, seed=seed, accuracy=accuracy, at_once=1)


def test_seconds_to_a_target_are_those_of_the_first_epoch_at_it(tmp_path: Path) -> None:
    """Runs of the invented tables take 2 s an epoch and gain accuracy evenly, from 10 %."""
    add_pair(tmp_path, 1)
    add_pair(tmp_path, 2)
    tables = frames.read(tmp_path)
    assert aa.first_epoch_at(90.0, tables.epochs).to_numpy().tolist() == [[8, 16.0]] * 4
    assert aa.first_epoch_at(80.0, tables.epochs).to_numpy().tolist() == [[7, 14.0]] * 4
    assert aa.first_epoch_at(99.0, tables.epochs).empty
    (comparison,) = aa.target_comparisons(tables)
    assert (comparison.model, comparison.target, comparison.pairs) == ("tf-model-1", 98.0, 2)
    assert (comparison.epochs, comparison.seconds) == ((8.0, 8.0), (16.0, 16.0))
    assert comparison.seconds_ratio.ratio.mean == pytest.approx(1)
    assert not comparison.seconds_ratio.borne  # by no A/A test
    for framework in PAIR:
        rows = aa_rows([50.0, 50.2], [50.1, 50.1], framework=framework)
        store.append_rows(tmp_path, "speed.csv", rows)
    (comparison,) = aa.target_comparisons(frames.read(tmp_path))
    assert comparison.seconds_ratio.borne


def test_a_target_that_one_run_missed_is_left_out(tmp_path: Path) -> None:
    add_pair(tmp_path, 1)
    add_pair(tmp_path, 2, accuracy=97.5)
    assert aa.target_comparisons(frames.read(tmp_path)) == []


@pytest.mark.parametrize(
    "second",
    [
        *({"machine": "another"}, {"commit": "fedcba987654"}, {"seed": 2}, {"at_once": 2}, {"at_once": None}),
        {"load_before": 1.8},
    ],
    ids=str,
)
def test_only_runs_of_one_code_on_one_machine_alone_are_a_pair(
    tmp_path: Path, second: dict[str, object]
) -> None:
    add_run(tmp_path, at_once=1)
    add_run(tmp_path, framework="tensorflow", **({"at_once": 1} | second))
    assert aa.same_code_pairs(frames.read(tmp_path).runs) == []


def test_pairs_of_one_place_are_averaged(tmp_path: Path) -> None:
    for seed, threads in ((1, 1), (2, 2), (3, 2)):
        for framework in PAIR:
            add_run(tmp_path, framework=framework, seed=seed, at_once=1, threads=threads)
    ((_, sides),) = aa.same_code_pairs(frames.read(tmp_path).runs)
    assert sides[0] == ["tf-model-1-pytorch-2", "tf-model-1-pytorch-4"]


def test_a_resumed_run_has_no_time_to_a_target(tmp_path: Path) -> None:
    for framework in PAIR:
        add_run(tmp_path, framework=framework, at_once=1, train_seconds=None)
    assert aa.same_code_pairs(frames.read(tmp_path).runs) == []


def test_changed_code_makes_no_pair(tmp_path: Path) -> None:
    for framework in PAIR:
        add_run(tmp_path, framework=framework, at_once=1, commit="0123456789ab-dirty")
    assert aa.same_code_pairs(frames.read(tmp_path).runs) == []


def test_a_seed_counts_once_by_its_last_pair(tmp_path: Path) -> None:
    for commit, started in (("0123456789ab", "2026-01-01"), ("abcdef012345", "2026-01-02")):
        for framework in PAIR:
            add_run(tmp_path, framework=framework, at_once=1, commit=commit, started=started)
    ((model, sides),) = aa.same_code_pairs(frames.read(tmp_path).runs)
    assert model == "tf-model-1"
    assert sides == [["tf-model-1-pytorch-2"], ["tf-model-1-tensorflow-3"]]


def test_times_of_older_arithmetic_stand_in_for_no_newer_ones(tmp_path: Path) -> None:
    """The newest runs had company on their machine; the older ones, alone, are of code that is gone."""
    for framework in PAIR:
        add_run(tmp_path, framework=framework, accuracy=98.5, at_once=1, numerics=1)
    assert len(aa.target_comparisons(frames.read(tmp_path))) == 1
    for framework in PAIR:
        add_run(tmp_path, framework=framework, accuracy=98.5, at_once=2, numerics=2)
    assert aa.target_comparisons(frames.read(tmp_path)) == []
