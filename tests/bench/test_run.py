"""`bench run`: each missing task runs once, whatever fails, is interrupted or is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.tables import add_run

from common.bench import __main__ as bench
from common.bench import tasks
from common.bench.tasks import Outcome, Task, missing
from common.frameworks import ROOT
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store

ONE = ["--models", "tf-model-1", "--frameworks", "pytorch"]

LONG = ("epochs=500",)
"""What is changed in tf-model-1 for a run that prints at once and does not end while a test looks on."""


def outcome(folder: Path, task: Task, *, exit_status: int = 0, **columns: Any) -> Outcome:
    """The outcome of a task that ran in `folder`; exit status 3 leaves no row."""
    if exit_status != 3:
        settings = {"seed": task.seed, "run": store.new_run()} | columns
        add_run(folder, task.model, task.framework, **settings)
    tables = store.complete_tables(folder) if exit_status != 3 else {}
    lines = "a line\nthe last line"
    return Outcome(status=exit_status, tables=tables, last_lines=lines, machine="there", seconds=2.0)


def test_a_missing_task_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task that fails is attempted again at once, has a row with the reason, and is missing still."""
    ran: list[Task] = []
    failing = Task("tf-model-1", "tensorflow", 1)

    def run(task: Task, **options: object) -> Outcome:
        ran.append(task)
        folder = tmp_path / str(len(ran))
        return outcome(folder, task, exit_status=3 if task == failing and len(ran) < 4 else 0)

    monkeypatch.setattr(tasks, "run_task", run)
    folder = tmp_path / "results"
    words = ["--models", "tf-model-1", "--seeds", "2", "--results", str(folder)]
    assert bench.main(words) == 1
    printed = capsys.readouterr()
    assert str(folder / "bench.log") in printed.err
    assert "tf-model-1 tensorflow seed 1 failed: exit status 3: the last line" in printed.out
    assert ran == [Task("tf-model-1", "pytorch", 1), failing, failing, *ran[3:]]
    assert len(ran) == 5
    rows = store.rows(folder, "results.csv")
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "ok"]
    assert rows[1]["reason"] == "exit status 3: the last line"
    assert (rows[1]["machine"], rows[1]["recipe_hash"]) == ("there", rows[0]["recipe_hash"])
    assert rows[1]["accuracy"] == rows[1]["total_seconds"] == ""
    assert bench.main(["run", *words]) == 0
    assert ran[5:] == [failing]
    assert "4 tasks, 3 in the tables already, 1 to run." in capsys.readouterr().out
    assert bench.main(words) == 0
    assert len(ran) == 6
    assert len(store.rows(folder, "epochs.csv")) == 4 * (1 + ZOO["tf-model-1"].recipe.epochs)


@pytest.mark.parametrize("written", [False, True], ids=["before its rows are written", "after"])
def test_a_run_that_is_interrupted_while_it_is_recorded_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    merge, calls = store.merge, []

    def interrupted(folder: Path, tables: Mapping[str, bytes]) -> None:
        calls.append(folder)
        if len(calls) > 1 or written:
            merge(folder, tables)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(tasks, "run_task", lambda task, **_: outcome(tmp_path / "ran", task))
    monkeypatch.setattr(store, "merge", interrupted)
    folder = tmp_path / "results"
    assert bench.main([*ONE, "--seeds", "1", "--results", str(folder)]) == 130
    assert len(store.rows(folder, "results.csv")) == 1
    assert len(store.rows(folder, "epochs.csv")) == 1 + ZOO["tf-model-1"].recipe.epochs


def test_rows_that_newer_arithmetic_voids_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(task: Task, *, numerics: int, **_: object) -> Outcome:
        return outcome(tmp_path / f"{task.seed} {numerics}", task, numerics=numerics)

    monkeypatch.setattr(tasks, "run_task", partial(run, numerics=1))
    words = [*ONE, "--results", str(tmp_path / "results")]
    assert bench.main([*words, "--seeds", "2"]) == 0
    monkeypatch.setattr(tasks, "run_task", partial(run, numerics=2))
    assert bench.main([*words, "--seeds", "3"]) == 1
    assert (
        "2 runs in the tables are of older arithmetic, and count no more; run it again."
        in capsys.readouterr().out
    )
    assert bench.main([*words, "--seeds", "3"]) == 0


def test_changes_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Task] = []

    def run(task: Task, **options: object) -> Outcome:
        ran.append(task)
        diverged = task.vary == ("lr=9",)
        columns = {
            **{"accuracy": 98.0 + task.seed / 10, "train_seconds": 5.0 * task.seed},
            **({"status": "diverged", "accuracy": None} if diverged else {}),
            **{"recipe_hash": recipe_hash(task.entry.spec, task.entry.recipe), "dataset": task.dataset},
        }
        return outcome(tmp_path / str(len(ran)), task, exit_status=int(diverged), **columns)

    monkeypatch.setattr(tasks, "run_task", run)
    words = ["--models", "tf-model-1", "--frameworks", "pytorch", "--seeds", "2", "--validation", "10000"]
    words += ["--vary", "lr=0.1", "augment.rotation=9", "--vary", "lr=9"]
    words += ["--results", str(tmp_path / "trials")]
    assert bench.main(words) == 0
    assert [task.seed for task in ran] == [1, 1, 2, 2]
    printed = capsys.readouterr().out
    assert "| tf-model-1 | PyTorch | lr=0.1 augment.rotation=9 | 98.150 | 0.071 | 8 | 2 of 2 |" in printed
    assert "| tf-model-1 | PyTorch | lr=9 |  |  |  | 0 of 2 |" in printed
    assert bench.main(words) == 0
    assert len(ran) == 4
    assert "| 98.150 | 0.071 | 8 | 2 of 2 |" in capsys.readouterr().out
    kept = {path.name for path in (tmp_path / "trials").glob("*.csv")}
    assert kept == {"trials.csv"}
    assert len(store.rows(tmp_path / "trials", "trials.csv")) == 4


def test_a_trial_that_fails_has_a_row_among_the_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "run_task", lambda task, **_: outcome(tmp_path / "x", task, exit_status=3))
    words = ["--models", "tf-model-1", "--frameworks", "pytorch", "--seeds", "1", "--validation", "10000"]
    assert bench.main([*words, "--results", str(tmp_path)]) == 1
    (row,) = store.rows(tmp_path, "trials.csv")
    assert (row["status"], row["dataset"]) == ("failed", "mnist-validation-10000")
    assert store.rows(tmp_path, "results.csv") == []


def test_rows_of_different_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = {"results.csv": b"framework,model\npytorch,tf-model-1\n"}
    other = Outcome(status=0, tables=written, last_lines="", machine="there", seconds=1.0)
    monkeypatch.setattr(tasks, "run_task", lambda task, **options: other)
    assert bench.main(["--models", "tf-model-1", "--seeds", "1", "--results", str(tmp_path)]) == 1
    assert "results.csv" in capsys.readouterr().err
    assert store.rows(tmp_path, "results.csv") == []


def test_a_dry_run_only_prints_the_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--models", "under-8k", "--seeds", "1", "--results", str(tmp_path), "--dry-run"]
    assert bench.main(words) == 0
    assert "under-8k pytorch seed 1\nunder-8k tensorflow seed 1\n" in capsys.readouterr().out
    assert store.rows(tmp_path, "results.csv") == []


def test_tables_with_other_columns_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.csv").write_text("a,b\n")
    assert bench.main(["--results", str(tmp_path)]) == 2
    assert str(tmp_path / "results.csv") in capsys.readouterr().err


def start(folder: Path) -> subprocess.Popen[str]:
    """A bench with one long task, started as a shell starts a background job, with SIGINT ignored; returns
    once the task's run trains."""
    command = [sys.executable, "-m", "common.bench", "--models", "tf-model-1", "--frameworks", "pytorch"]
    command += ["--seeds", "1", "--vary", *LONG, "--results", str(folder)]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    log, deadline = folder / "bench.log", time.monotonic() + 300
    while "step " not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal there")
def test_ctrl_c_interrupts_the_run_and_the_next_bench_continues(tmp_path: Path) -> None:
    """The run's row has the status interrupted, and the task is still missing."""
    process = start(tmp_path)
    process.send_signal(signal.SIGINT)
    try:
        printed, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "run it again to continue" in printed
    (row,) = store.rows(tmp_path, "trials.csv")
    assert row["status"] == "interrupted"
    task = Task("tf-model-1", "pytorch", 1, vary=LONG)
    assert row["recipe_hash"] == recipe_hash(task.entry.spec, task.entry.recipe)
    assert missing([task], [row]) == [task]


@pytest.mark.slow
def test_a_run_ends_with_the_bench_that_was_killed(tmp_path: Path) -> None:
    """The bench that continues must not run it twice. Nothing of it is in the tables."""
    process = start(tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=300)
    assert not alive
    assert store.rows(tmp_path, "trials.csv") == []
