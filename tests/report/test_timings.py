"""The tables of a session's rows of speed.csv."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from common.analysis import frames
from common.bench import measure as measuring
from common.report import timings
from common.tables import store
from common.tables.schema import SpeedRow


def rows(*cells: tuple[Any, ...], sitting: str = "2026-01-01T00:00:00+00:00") -> list[SpeedRow]:
    """Rows of (measure, arm, value[, framework[, model]])."""
    made = []
    for measure, arm, value, *rest in cells:
        framework, model = [*rest, *("pytorch", "speedrun")[len(rest) :]]
        told = {"measure": measure, "framework": framework, "model": model, "arm": arm, "unit": "s"}
        made.append(
            dataclasses.replace(measuring.row(**told, **measuring.summarise([value])), sitting=sitting)
        )
    return made


def section(folder: Path, *made: SpeedRow) -> str:
    """The tables of these rows, by way of the file."""
    store.append_rows(folder, "speed.csv", made)
    return timings.section(frames.read(folder).speed)


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    assert timings.section(frames.read(tmp_path).speed) == "Not measured yet."


def test_race_is_over_the_mark_of_the_same_framework(tmp_path: Path) -> None:
    made = rows(
        ("race train_seconds", "run", 4.0, "pytorch", "one-epoch-215k"),
        ("race train_seconds", "run", 1.0, "pytorch", "speedrun"),
        ("race mean accuracy", "run", 99.05, "pytorch", "speedrun"),
        ("race train_seconds", "run", 3.0, "tensorflow", "speedrun"),
    )
    page = section(tmp_path, *made)
    assert "| `speedrun` | PyTorch | 1.00 | 0.25 |  | 99.05 | 99.05 | 99.05 | 1 |" in page
    assert "| `speedrun` | TensorFlow | 3.00 |  |" in page


def test_only_the_latest_sitting_of_a_measure_counts(tmp_path: Path) -> None:
    old = rows(("start", "first step", 9.0), ("start", "plain step", 1.0), ("start", "help", 0.1))
    new = rows(
        ("start", "first step", 2.1), ("start", "plain step", 2.0), sitting="2026-02-01T00:00:00+00:00"
    )
    other = rows(("idiom train_seconds", "memory", 2.0), ("idiom train_seconds", "native", 7.0))
    page = section(tmp_path, *new, *old, *other)
    assert "| `speedrun` | PyTorch |  | 2.10 | 2.00 | 1.05 |" in page
    assert "| `speedrun` | PyTorch | 2.00 | 7.00 | 3.50 |" in page


def test_shares_and_peak(tmp_path: Path) -> None:
    parts = [("part", name, value) for name, value in zip(timings.PARTS, (1, 3, 4, 1, 1), strict=True)]
    made = rows(*parts, ("gflops", "training", 80.0), ("gflops", "product", 200.0))
    page = section(tmp_path, *made)
    assert "| `speedrun` | PyTorch | 10 | 30 | 40 | 10 | 10 | 80 | 200 | 40 |" in page


def test_overhead_and_what_augmentation_takes(tmp_path: Path) -> None:
    """under-5k has 937 steps of 10 ms in an epoch; 0.937 s of pixels are a tenth of it."""
    made = rows(
        ("step", "epoch", 10.0, "pytorch", "under-5k"),
        ("step", "bare loop", 8.0, "pytorch", "under-5k"),
        ("overhead", "epoch", 1.25, "pytorch", "under-5k"),
        ("preparation", "augmentation", 0.937, "pytorch", "under-5k"),
    )
    page = section(tmp_path, *made)
    assert "| `under-5k` | PyTorch | 10.000 | 8.000 | 1.250 (1.250 to 1.250) | 10.0 |" in page
