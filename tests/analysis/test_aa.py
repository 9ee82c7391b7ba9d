"""A speed ratio needs frameworks as fast as themselves; a time to a target, runs that all reach it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from support.tables import aa_rows, add_run

from common.analysis import aa, frames
from common.frameworks import PAIR
from common.tables import store
from common.tables.schema import SpeedRow


def speed(folder: Path, *sessions: list[SpeedRow]) -> pd.DataFrame:
    for rows in sessions:
        store.append_rows(folder, "speed.csv", rows)
    return frames.read(folder).speed


def test_a_steady_clock_supports_the_ratio(tmp_path: Path) -> None:
    """Each framework A and B in three rounds; PyTorch is twice as fast in each of them."""
    first = aa_rows([100.0, 102.0, 98.0], [102.0, 100.0, 98.0])
    second = aa_rows([50.0, 51.0, 49.0], [51.0, 50.0, 49.0], framework="tensorflow")
    table = speed(tmp_path, first, second)
    pairs = aa.aa_pairs(table, aa.TRAINING)
    assert aa.unsteady(table) == set()
    pair, other = (pairs["tf-model-1", framework] for framework in PAIR)
    assert pair.mean == pytest.approx(100, abs=0.1)
    assert pair.self_ratio.mean == pytest.approx(1, abs=0.02)
    ratio = aa.framework_ratio(pair, other)
    assert ratio is not None
    assert (ratio.mean, ratio.interval, ratio.n) == (pytest.approx(2), pytest.approx((2, 2)), 3)


@pytest.mark.parametrize("unsteady", PAIR)
def test_a_framework_that_differs_from_itself_has_no_ratio(tmp_path: Path, unsteady: str) -> None:
    rows = {framework: aa_rows([50.0, 51.0], [51.0, 50.0], framework=framework) for framework in PAIR}
    rows[unsteady] = aa_rows([110.0, 111.0], [100.0, 101.0], framework=unsteady)
    table = speed(tmp_path, *rows.values())
    assert aa.unsteady(table) == {("tf-model-1", unsteady)}
    first, second = aa.aa_pairs(table, aa.TRAINING).values()
    assert aa.framework_ratio(first, second) is None


def test_only_the_last_session_counts(tmp_path: Path) -> None:
    late = aa_rows([7.0, 7.0], [7.0, 7.0], session="2026-02-01T00:00:00+00:00")
    table = speed(tmp_path, late, aa_rows([9.0, 9.0, 9.0], [1.0, 1.0, 1.0]))
    (pair,) = aa.aa_pairs(table, aa.TRAINING).values()
    assert pair.rounds == [1, 2]
    assert pair.mean == pytest.approx(7)


def test_prediction_is_in_images_a_second(tmp_path: Path) -> None:
    table = speed(tmp_path, aa_rows([0.5, 0.5], [0.5, 0.5], column="predict_seconds"))
    (pair,) = aa.aa_pairs(table, "predict_seconds").values()
    assert pair.mean == pytest.approx(20_000)


def test_seconds_to_a_target_are_those_of_the_first_epoch_at_it(tmp_path: Path) -> None:
    """Runs of the invented tables take 2 s an epoch and gain accuracy evenly, from 10 %."""
    for seed in (1, 2):
        add_run(tmp_path, seed=seed, accuracy=98.5)
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=98.5)
    tables = frames.read(tmp_path)
    assert aa.first_epoch_at(90.0, tables.epochs).to_numpy().tolist() == [[8, 16.0]] * 4
    assert aa.first_epoch_at(80.0, tables.epochs).to_numpy().tolist() == [[7, 14.0]] * 4
    assert aa.first_epoch_at(99.0, tables.epochs).empty
    (comparison,) = aa.target_comparisons(tables)
    assert (comparison.model, comparison.target, comparison.pairs) == ("tf-model-1", 98.0, 2)
    assert (comparison.epochs, comparison.seconds) == ((8.0, 8.0), (16.0, 16.0))
    assert comparison.ratio is not None
    assert comparison.ratio.mean == pytest.approx(1)


def test_an_unsteady_clock_has_no_ratio_to_a_target_either(tmp_path: Path) -> None:
    store.append_rows(tmp_path, "speed.csv", aa_rows([110.0, 111.0], [100.0, 101.0]))
    for framework in PAIR:
        add_run(tmp_path, framework=framework, accuracy=98.5)
    (comparison,) = aa.target_comparisons(frames.read(tmp_path))
    assert comparison.ratio is None


def test_a_target_that_one_run_missed_is_left_out(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 98.5), (2, 97.5)):
        add_run(tmp_path, seed=seed, accuracy=accuracy)
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=98.5)
    assert aa.target_comparisons(frames.read(tmp_path)) == []


def test_runs_of_different_machines_are_no_pair(tmp_path: Path) -> None:
    add_run(tmp_path, accuracy=98.5)
    add_run(tmp_path, framework="tensorflow", accuracy=98.5, machine="another")
    assert aa.target_comparisons(frames.read(tmp_path)) == []
