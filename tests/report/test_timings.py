"""A sitting's rows and the tables made of them; the processes it starts are real, their work is not."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.tables import add_run

from common.analysis import frames
from common.bench import __main__ as bench
from common.bench import measure as measuring
from common.report import timings
from common.tables import store
from common.tables.schema import SpeedRow
from common.tables.store import ResultsError


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


def test_time_to_a_line_of_a_process_that_is_ended_then() -> None:
    program = "import time; print('no'); print('yes, now', flush=True); time.sleep(60)"
    assert 0 < measuring._until([sys.executable, "-c", program], "yes") < 30


def test_a_process_that_fails_is_told_with_its_last_word(tmp_path: Path) -> None:
    sitting = measuring.Session(folder=tmp_path, data_dir=None, models=["x"], frameworks=["pytorch"])
    with pytest.raises(ResultsError, match=r"failed: pytorch\.py: .* x is not in the zoo"):
        list(measuring.profiles(sitting))
    with pytest.raises(ResultsError, match="ended without a line that begins with 'never'"):
        measuring._until([sys.executable, "-c", "print('other')"], "never")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Command lines that would have been run; each leaves a row whose seconds are its place, from 1."""
    seen: list[list[str]] = []

    def run(command: list[str]) -> None:
        seen.append(command)
        if "--profile" in command:
            figure = {"measure": "step", "arm": "epoch", "unit": "ms", **measuring.summarise([2.5])}
            told = {"device": "cpu", "threads": 1, "framework_version": "9", "figures": [figure]}
            Path(command[command.index("--profile") + 1]).write_text(json.dumps(told))
        else:
            folder = Path(command[command.index("--results") + 1])
            framework = {"pytorch.py": "pytorch", "tf.py": "tensorflow"}[Path(command[1]).name]
            seconds = {"train_seconds": float(len(seen)), "total_seconds": 50.0, "cpu_seconds": 9.0}
            add_run(folder, framework=framework, **seconds)

    monkeypatch.setattr(measuring, "_run", run)
    return seen


def test_arms_take_turns_and_seeds_are_the_same(trained: list[list[str]], tmp_path: Path) -> None:
    sitting = measuring.Session(
        folder=tmp_path, data_dir=None, models=["tf-model-1"], frameworks=["tensorflow"]
    )
    made = list(measuring.native_loaders(sitting))
    arms = [command[command.index("--loader") + 1] for command in trained]
    assert arms == ["memory", "native"] * measuring.ROUNDS
    seeds = [command[command.index("--seed") + 1] for command in trained]
    assert seeds == [str(seed) for seed in range(1, 6) for _ in arms[:2]]
    by_arm = {row.arm: row for row in made if row.measure == "idiom train_seconds"}
    assert (by_arm["memory"].value, by_arm["native"].value) == (5.0, 6.0)
    assert (by_arm["memory"].low, by_arm["memory"].high, by_arm["memory"].rounds) == (1.0, 9.0, 5)


def test_race_interleaves_frameworks_and_networks(trained: list[list[str]], tmp_path: Path) -> None:
    sitting = measuring.Session(
        folder=tmp_path, data_dir=None, models=measuring.RACE, frameworks=["pytorch", "tensorflow"]
    )
    made = list(measuring.time_to_accuracy(sitting))
    assert len(trained) == 4 * measuring.RACE_SEEDS
    assert [Path(command[1]).name for command in trained[:4]] == ["pytorch.py"] * 2 + ["tf.py"] * 2
    assert {row.rounds for row in made} == {measuring.RACE_SEEDS}


def test_a_sitting_of_the_bench_is_kept_and_shown(
    trained: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--speed", "profiles", "--models", "tf-model-1", "--frameworks", "pytorch"]
    assert bench.main([*words, "--results", str(tmp_path)]) == 0
    (row,) = store.rows(tmp_path, "speed.csv")
    assert (row["measure"], row["value"], row["threads"], row["framework_version"]) == (
        "step",
        "2.5",
        "1",
        "9",
    )
    assert row["sitting"]
    assert "### Steps over a bare loop" in capsys.readouterr().out


def test_every_round_has_both_arms_of_both_frameworks(
    trained: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one seed a round; the runs leave no rows but those of the sitting, which are shown as a table."""
    assert bench.main(["--aa", "--models", "tf-model-1", "--results", str(tmp_path)]) == 0
    frameworks = [Path(command[1]).name for command in trained]
    assert frameworks[:8] == ["pytorch.py", "tf.py"] * 2 + ["tf.py", "pytorch.py"] * 2
    seeds = [command[command.index("--seed") + 1] for command in trained]
    assert seeds == [str(seed) for seed in range(1, measuring.ROUNDS + 1) for _ in range(4)]
    made = store.rows(tmp_path, "speed.csv")
    assert len(made) == len(trained) * len(measuring.AA_COLUMNS)
    seconds = [row for row in made if row["measure"] == "again train_seconds"]
    assert [(row["framework"], row["arm"], row["value"]) for row in seconds[2:5]] == [
        ("pytorch", "B 1", "3"),
        ("tensorflow", "B 1", "4"),
        ("tensorflow", "A 2", "5"),
    ]
    assert store.rows(tmp_path, "results.csv") == []
    assert "| `tf-model-1` | training, images / s | 30,000 | 30,000 | 1.000 (1.000" in capsys.readouterr().out
