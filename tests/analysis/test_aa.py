"""Ratios of speed are told only where a framework is as fast as itself; a target once all runs reach it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.tables import add_run

from common.analysis import aa, frames
from common.bench import measure
from common.frameworks import FRAMEWORKS
from common.report import timings
from common.tables import store
from common.tables.schema import SpeedRow


def rows(
    a: list[float],
    b: list[float],
    *,
    framework: str = "pytorch",
    column: str = "images_per_second",
    sitting: str = "2026-01-01T00:00:00+00:00",
) -> list[SpeedRow]:
    """What rounds of tf-model-1 leave."""
    about: dict[str, Any] = {"measure": f"again {column}", "framework": framework, "model": "tf-model-1"}
    made = [
        measure.row(**about, arm=f"{arm} {number}", unit="", **measure.summarise([value]))
        for arm, values in zip("AB", (a, b), strict=True)
        for number, value in enumerate(values, start=1)
    ]
    return [dataclasses.replace(row, sitting=sitting) for row in made]


def table(folder: Path, *made: list[SpeedRow]) -> str:
    for part in made:
        store.append_rows(folder, "speed.csv", part)
    return aa.table(frames.read(folder).speed)


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    assert "Not measured yet" in table(tmp_path)


def test_a_steady_clock_tells_the_ratio(tmp_path: Path) -> None:
    """Each framework A and B in three rounds; PyTorch twice as fast in each of them."""
    page = table(
        tmp_path,
        rows([100.0, 102.0, 98.0], [102.0, 100.0, 98.0]),
        rows([50.0, 51.0, 49.0], [51.0, 50.0, 49.0], framework="tensorflow"),
    )
    assert "| `tf-model-1` | training, images / s | 100 | 50 | 2.000 (2.000 to 2.000) | 1.000 (0.9" in page


@pytest.mark.parametrize("unclear", ["pytorch", "tensorflow"])
def test_a_framework_that_differs_from_itself_tells_no_ratio(tmp_path: Path, unclear: str) -> None:
    made = {framework: rows([50.0, 51.0], [51.0, 50.0], framework=framework) for framework in FRAMEWORKS}
    made[unclear] = rows([110.0, 111.0], [100.0, 101.0], framework=unclear)
    page = table(tmp_path, *made.values())
    assert "| unsteady | " in page
    assert aa.unsteady(frames.read(tmp_path).speed) == {("tf-model-1", unclear)}


def test_only_the_last_sitting_counts(tmp_path: Path) -> None:
    late = rows([7.0, 7.0], [7.0, 7.0], sitting="2026-02-01T00:00:00+00:00")
    assert "| 7 |" in table(tmp_path, late, rows([9.0, 9.0, 9.0], [1.0, 1.0, 1.0]))


def test_prediction_is_told_in_images_a_second(tmp_path: Path) -> None:
    page = table(tmp_path, rows([0.5, 0.5], [0.5, 0.5], column="predict_seconds"))
    assert "| prediction, images / s | 20,000 |" in page


def test_ratios_of_other_tables_are_kept_back_too(tmp_path: Path) -> None:
    told = {"framework": "tensorflow", "model": "tf-model-1", "unit": "s", "measure": "idiom train_seconds"}
    made = [
        dataclasses.replace(measure.row(**told, arm=arm, **measure.summarise([value])), sitting="2026")
        for arm, value in (("memory", 2.0), ("native", 7.0))
    ]
    store.append_rows(tmp_path, "speed.csv", made)
    assert "| 2.00 | 7.00 | 3.50 |" in timings.section(frames.read(tmp_path).speed)
    store.append_rows(tmp_path, "speed.csv", rows([110.0, 111.0], [100.0, 101.0], framework="tensorflow"))
    assert "| 2.00 | 7.00 | unsteady |" in timings.section(frames.read(tmp_path).speed)


def test_seconds_to_a_target_are_those_of_the_first_epoch_at_it(tmp_path: Path) -> None:
    """Runs of the made-up tables take 2 s an epoch and gain accuracy evenly, from 10 %."""
    for seed in (1, 2):
        add_run(tmp_path, seed=seed, accuracy=98.5)
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=98.5)
    tables = frames.read(tmp_path)
    assert aa.reached(90.0, tables.epochs).to_numpy().tolist() == [[8, 16.0]] * 4
    assert aa.reached(80.0, tables.epochs).to_numpy().tolist() == [[7, 14.0]] * 4
    assert aa.reached(99.0, tables.epochs).empty
    page = aa.section(tables)
    assert "| `tf-model-1` | 98 % | 2 | 8.0 | 16.0 | 8.0 | 16.0 | 1.000 (1.000 to 1.000) |" in page
    assert "| 99 % |" not in page


def test_a_target_that_one_run_missed_is_not_told(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 98.5), (2, 97.5)):
        add_run(tmp_path, seed=seed, accuracy=accuracy)
        add_run(tmp_path, framework="tensorflow", seed=seed, accuracy=98.5)
    assert "| 98 % |" not in aa.section(frames.read(tmp_path))


def test_runs_of_different_machines_are_no_pair(tmp_path: Path) -> None:
    add_run(tmp_path, accuracy=98.5)
    add_run(tmp_path, framework="tensorflow", accuracy=98.5, machine="another")
    assert "How soon" not in aa.section(frames.read(tmp_path))
