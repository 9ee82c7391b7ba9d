"""`common.bench`: which cells are missing, in which order, what is done with them, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.tables import add_run

from common.bench import __main__ as bench
from common.bench import tasks as making
from common.bench.tasks import Outcome, Task, missing, seconds_left, tasks_of
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import store

ROOT = Path(__file__).resolve().parents[2]


def add(folder: Path, cell: Task, **columns: object) -> None:
    """A row of `cell` as a run of the zoo's own recipe would leave it."""
    add_run(folder, cell.model, cell.framework, seed=cell.seed, **columns)


def test_seeds_come_first_and_frameworks_alternate() -> None:
    order = tasks_of(["a", "b"], ["pytorch", "tensorflow"], [1, 2])
    assert [(cell.model, cell.framework, cell.seed) for cell in order[:4]] == [
        ("a", "pytorch", 1),
        ("a", "tensorflow", 1),
        ("b", "pytorch", 1),
        ("b", "tensorflow", 1),
    ]
    assert [cell.seed for cell in order] == [1] * 4 + [2] * 4


@pytest.mark.parametrize(
    "columns, counts",
    [
        ({}, True),
        ({"status": "diverged"}, True),
        ({"status": "interrupted"}, False),
        ({"status": "failed"}, False),
        ({"native": "init"}, False),
        ({"precision": "float64"}, False),
        ({"dataset": "fashion-mnist"}, False),
        ({"dataset": "mnist-validation-10000"}, False),
        ({"recipe_hash": "0" * 12}, False),
        ({"device": "cuda (H200)"}, False),
    ],
    ids=str,
)
def test_only_a_finished_run_of_the_recipe_fills_a_cell(
    tmp_path: Path, columns: dict[str, object], counts: bool
) -> None:
    cell, other = Task("tf-model-1", "pytorch", 2), Task("tf-model-1", "pytorch", 3)
    add(tmp_path, cell, **columns)
    todo = missing([cell, other], store.rows(tmp_path, "results.csv"))
    assert todo == ([other] if counts else [cell, other])


def test_a_changed_recipe_is_another_cell(tmp_path: Path) -> None:
    cells_ = tasks_of(
        ["tf-model-1"], ["pytorch"], [1], overrides=[["lr=0.5", "epochs=2"], []], validation=10000
    )
    changed, plain = cells_
    assert str(changed) == "tf-model-1 pytorch seed 1 lr=0.5 epochs=2"
    command = changed.command(tmp_path)
    assert command[command.index("--validation") :] == [
        *("--validation", "10000", "--lr", "0.5", "--vary", "epochs=2")
    ]
    hashed = recipe_hash(changed.entry.spec, changed.entry.recipe)
    add(tmp_path, plain)  # on the test set
    assert missing(cells_, store.rows(tmp_path, "results.csv")) == cells_
    add(tmp_path, plain, dataset="mnist-validation-10000")
    assert missing(cells_, store.rows(tmp_path, "results.csv")) == [changed]
    add(tmp_path, changed, dataset="mnist-validation-10000", recipe_hash=hashed)
    assert missing(cells_, store.rows(tmp_path, "results.csv")) == []


def test_changes_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Task] = []

    def make(cell: Task, **options: object) -> Outcome:
        ran.append(cell)
        diverged = cell.vary == ("lr=9",)
        columns = {
            **{"accuracy": 98.0 + cell.seed / 10, "train_seconds": 5.0 * cell.seed},
            **({"status": "diverged", "accuracy": None} if diverged else {}),
            **{"recipe_hash": recipe_hash(cell.entry.spec, cell.entry.recipe), "dataset": cell.dataset},
        }
        folder = tmp_path / str(len(ran))
        add(folder, cell, **columns)
        tables = store.complete_tables(folder)
        return Outcome(status=int(diverged), tables=tables, last_lines="", machine="there", seconds=2.0)

    monkeypatch.setattr(making, "run_task", make)
    words = ["--models", "tf-model-1", "--frameworks", "pytorch", "--seeds", "2", "--validation", "10000"]
    words += [
        "--vary",
        "lr=0.1",
        "augment.rotation=9",
        "--vary",
        "lr=9",
        "--results",
        str(tmp_path / "trials"),
    ]
    assert bench.main(words) == 0
    assert [cell.seed for cell in ran] == [1, 1, 2, 2]
    printed = capsys.readouterr().out
    assert "| tf-model-1 | PyTorch | lr=0.1 augment.rotation=9 | 98.150 | 0.071 | 8 | 2 of 2 |" in printed
    assert "| tf-model-1 | PyTorch | lr=9 |  |  |  | 0 of 2 |" in printed
    assert bench.main(words) == 0
    assert len(ran) == 4


def test_time_left_is_that_of_the_runs_most_like_it(tmp_path: Path) -> None:
    add(tmp_path, Task("tf-model-1", "pytorch", 1), total_seconds=10.0)
    add(tmp_path, Task("tf-model-1", "pytorch", 2), total_seconds=20.0)
    add(tmp_path, Task("nextjournal", "tensorflow", 1), total_seconds=100.0)
    rows = store.rows(tmp_path, "results.csv")
    todo = [Task("tf-model-1", "pytorch", 3), Task("nextjournal", "pytorch", 1)]
    assert seconds_left(todo[:1], rows) == pytest.approx(15)
    assert seconds_left(todo, rows) == pytest.approx(115)
    assert seconds_left(todo, []) is None


def outcome(folder: Path, cell: Task, *, status: int = 0, **columns: Any) -> Outcome:
    """What a cell leaves that has run in `folder`."""
    if status != 3:
        add(folder, cell, **columns)
    tables = store.complete_tables(folder) if status != 3 else {}
    return Outcome(
        status=status, tables=tables, last_lines="a line\nthe last line", machine="there", seconds=2.0
    )


def test_what_is_missing_is_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that fails is tried again at once, is a row with its reason, and is missing still."""
    ran: list[Task] = []
    failing = Task("tf-model-1", "tensorflow", 1)

    def make(cell: Task, **options: object) -> Outcome:
        ran.append(cell)
        folder = tmp_path / str(len(ran))
        return outcome(folder, cell, status=3 if cell == failing and len(ran) < 4 else 0)

    monkeypatch.setattr(making, "run_task", make)
    folder = tmp_path / "results"
    words = ["--models", "tf-model-1", "--seeds", "2", "--results", str(folder)]
    assert bench.main(words) == 1
    printed = capsys.readouterr()
    assert "1 tasks failed" in printed.err
    assert "tf-model-1 tensorflow seed 1 failed: exit status 3: the last line" in printed.out
    assert ran == [Task("tf-model-1", "pytorch", 1), failing, failing, *ran[3:]]
    assert len(ran) == 5
    rows = store.rows(folder, "results.csv")
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "ok"]
    assert rows[1]["reason"] == "exit status 3: the last line"
    assert rows[1]["accuracy"] == rows[1]["total_seconds"] == ""
    assert bench.main(words) == 0
    assert ran[5:] == [failing]
    assert "4 tasks, 3 in the tables already, 1 to run." in capsys.readouterr().out
    assert bench.main(words) == 0
    assert len(ran) == 6
    assert len(store.rows(folder, "epochs.csv")) == 4 * (1 + ZOO["tf-model-1"].recipe.epochs)


def test_rows_of_other_code_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = {"results.csv": b"framework,model\npytorch,tf-model-1\n"}
    other = Outcome(status=0, tables=tables, last_lines="", machine="there", seconds=1.0)
    monkeypatch.setattr(making, "run_task", lambda cell, **options: other)
    assert bench.main(["--models", "tf-model-1", "--seeds", "1", "--results", str(tmp_path)]) == 1
    assert "with other columns" in capsys.readouterr().err
    assert store.rows(tmp_path, "results.csv") == []


@pytest.mark.parametrize(
    "words, told",
    [
        (["ablation", "tf-model-1", "--cluster", "tcp://127.0.0.1:1"], "unrecognized arguments: --cluster"),
        (["ablation", "tf-model-1", "--vary", "lr=1"], "unrecognized arguments: --vary"),
        (["ablation", "tf-model-1", "--validation", "10"], "unrecognized arguments: --validation"),
        (["aa", "--seeds", "3"], "unrecognized arguments: --seeds"),
        (["traces", "steps", "--seeds", "3"], "--seeds"),
        (["defaults", "--data-dir", "x"], "unrecognized arguments: --data-dir"),
        (["speed", "--accelerated"], "unrecognized arguments: --accelerated"),
        (["--speed", "--aa"], "unrecognized arguments: --speed --aa"),
        (["sped"], "invalid choice: 'sped'"),
        (["speed", "everything"], "everything is not a part"),
        (["--cluster", "tcp://127.0.0.1:1", "--workers", "2"], "not allowed with"),
        (["--models", "tf-model-1", "--seed", "3"], "unrecognized arguments: --seed 3"),
        (["--workers", "0"], "0 is not a whole number of at least 1"),
        (["--vary", "lr=fast"], "lr=fast: fast is not a number."),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for_is_told(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_dry_run_only_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--models", "under-8k", "--seeds", "1", "--results", str(tmp_path), "--dry-run"]
    assert bench.main(words) == 0
    assert "under-8k pytorch seed 1\nunder-8k tensorflow seed 1\n" in capsys.readouterr().out
    assert store.rows(tmp_path, "results.csv") == []


def test_foreign_tables_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.csv").write_text("a,b\n")
    assert bench.main(["--results", str(tmp_path)]) == 2
    assert "has another header" in capsys.readouterr().err


def test_ctrl_c_interrupts_the_run_in_hand_and_the_next_bench_goes_on(tmp_path: Path) -> None:
    """Real processes: the cell's row says interrupted, and the cell is still missing."""
    command = [sys.executable, "-m", "common.bench", "--models", "examples-cnn", "--frameworks", "pytorch"]
    command += ["--seeds", "1", "--results", str(tmp_path)]
    # As a shell starts a background job: with SIGINT ignored, which the bench must not inherit.
    command = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", *command]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    log = tmp_path / "bench.log"
    deadline = time.monotonic() + 120
    while "step " not in (log.read_text() if log.exists() else "") and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    try:
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "1 tasks are missing." in printed
    (row,) = store.rows(tmp_path, "results.csv")
    assert row["status"] == "interrupted"
    entry = ZOO["examples-cnn"]
    assert row["recipe_hash"] == recipe_hash(entry.spec, entry.recipe)
    assert missing([Task("examples-cnn", "pytorch", 1)], [row])


def test_a_run_dies_with_the_bench_that_was_killed(tmp_path: Path) -> None:
    """So that the bench which goes on does not make it twice. Nothing of it is in the tables."""
    command = [sys.executable, "-m", "common.bench", "--models", "examples-cnn", "--frameworks", "pytorch"]
    command += ["--seeds", "1", "--results", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    log, deadline = tmp_path / "bench.log", time.monotonic() + 120
    while "step " not in (log.read_text() if log.exists() else "") and time.monotonic() < deadline:
        time.sleep(0.2)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert children
    process.kill()
    process.wait()
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert store.rows(tmp_path, "results.csv") == []
