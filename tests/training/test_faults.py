"""What goes wrong on real machines, done on purpose: kills at any moment, a full disk, two benches at once, a
clock that jumps back, cells that are no text. docs/reliability.md lists them."""

from __future__ import annotations

import datetime
import os
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.recorder import RecorderBackend
from support.tables import add_run, digits

from common.analysis import frames
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.tables import store
from common.tables.schema import TABLES_OF_A_RUN
from common.tables.store import ResultsError
from common.training import checkpoint, initial_weights, run
from common.training.backend import Execution
from common.training.checkpoint import CheckpointError
from common.training.job import Job

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--model", "tf-model-1", "--epochs", "1", "--no-accel", "--threads", "1"]
KILLS, AT_ONCE, LONGEST_SECONDS = 50, 2, 7.0


def kill_at_random(number: int, folder: Path) -> tuple[int, str]:
    """One process, killed at a moment that its number decides; its exit status and what it had said."""
    moment = random.Random(number).uniform(0, LONGEST_SECONDS)
    bench = ["-m", "common.bench", "--models", "tf-model-1", "--seeds", "1", "--first-seed", str(number + 1)]
    script = [one.script for one in FRAMEWORKS.values()][number % 2]
    words = [script, *SHORT, "--seed", str(number)] if number % 5 else bench
    # A folder of its own for each bench: there is one at a time for a folder.
    own = folder if number % 5 else folder / f"bench-{number}"
    process = subprocess.Popen(
        [sys.executable, *words, "--results", str(own)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        told, _ = process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.kill()
        told, _ = process.communicate()
    return process.returncode, told


def test_kills_at_random_moments_leave_tables_that_read(tmp_path: Path) -> None:
    """Both scripts, and every fifth time a bench: every run that said so is there, whole, and no half row."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda number: kill_at_random(number, tmp_path), range(KILLS)))
    assert sum(status == -9 for status, _ in ended) >= KILLS // 2
    said = {line.split()[1] for _, told in ended for line in told.splitlines() if line.startswith("Run ")}
    tables = frames.read(tmp_path)
    assert said <= set(tables.runs["run"])
    epochs = tables.epochs.groupby("run").size()
    for row in tables.runs.itertuples():
        assert row.status == "ok"
        assert epochs[row.run] == row.epochs + 1
        wrong = (tables.errors["run"] == row.run).sum()
        assert wrong == round((100 - row.accuracy) * 100)
    for folder in tmp_path.glob("bench-*"):
        frames.read(folder)
    words = [sys.executable, FRAMEWORKS["pytorch"].script, *SHORT, "--results", str(tmp_path)]
    assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 0
    assert len(store.rows(tmp_path, "results.csv")) == len(tables.runs) + 1


# A full disk, by a limit on the size of files


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = sys.argv[2:]
import runpy
sys.path.insert(0, ".")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def limited(limit: int, *words: str) -> subprocess.CompletedProcess[str]:
    """pytorch.py where no file can be larger than `limit` bytes."""
    command = [sys.executable, "-c", LIMITED, str(limit), FRAMEWORKS["pytorch"].script, *SHORT, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("full", TABLES_OF_A_RUN)
def test_a_disk_that_is_full_costs_the_run_alone(tmp_path: Path, full: str) -> None:
    """Whichever table has no room for it: one line, no half row, and what was there is there."""
    add_run(tmp_path)
    path = tmp_path / full
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, *[lines[-1]] * (200_000 // len(lines[-1]))]))
    room = path.stat().st_size + 30
    before = store.rows(tmp_path, "results.csv")
    found = limited(room, "--results", str(tmp_path))
    assert found.returncode == 2
    assert found.stderr == f"pytorch.py: Cannot write results to {tmp_path}: File too large.\n"
    assert store.rows(tmp_path, "results.csv") == before
    assert path.read_bytes().endswith(b"\n")
    add_run(tmp_path, seed=2)
    assert len(store.rows(tmp_path, "results.csv")) == len(before) + 1


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"the old one")
    found = limited(200_000, "--results", str(tmp_path), "--save-model", str(file))
    assert found.returncode == 2
    assert found.stderr == f"pytorch.py: Cannot write the checkpoint {file}: File too large.\n"
    assert file.read_bytes() == b"the old one"
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["ok"]
    assert not list(tmp_path.glob(".model*"))


def test_a_cache_that_does_not_fit_is_told_and_left_empty(tmp_path: Path) -> None:
    found = limited(1_000_000, "--results", str(tmp_path), "--data-dir", str(tmp_path / "data"))
    assert found.returncode == 2
    assert found.stderr.startswith("pytorch.py: ")
    assert "Traceback" not in found.stderr
    assert not [path for path in (tmp_path / "data").rglob("*ubyte*") if path.stat().st_size]


# Others


def test_a_second_bench_on_a_folder_is_refused(tmp_path: Path) -> None:
    bench = [sys.executable, "-m", "common.bench"]
    folder = ["--frameworks", "pytorch", "--results", str(tmp_path)]
    command = [*bench, "--models", "examples-cnn", "--seeds", "1", *folder]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    assert "to run" in first.stdout.readline()
    assert "1 running" in first.stdout.readline()
    # Two of them would also slow each other down.
    for words in (command, [*bench, "speed", "startup", *folder]):
        second = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert second.returncode == 2
        assert second.stderr.startswith("bench: ")
        assert str(tmp_path) in second.stderr
    first.kill()
    first.wait()


def test_a_clock_that_jumps_back_moves_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `started` is of the clock on the wall; seconds are of one that only goes forward."""
    hours = iter([12, 3])

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime(2026, 1, 2, next(hours), tzinfo=datetime.UTC)

    monkeypatch.setattr(run.datetime, "datetime", Jumping)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    entry = ZOO["tf-model-1"]
    for seed in (1, 2):
        job = Job(
            spec=entry.spec,
            recipe=entry.recipe,
            schedule_epochs=entry.recipe.epochs,
            seed=seed,
            execution=Execution(),
            test_batch_size=100,
            log_interval=100,
            settings={},
            results=tmp_path,
        )
        run.execute(RecorderBackend(accelerate=False, threads=1), digits(), job, show=lambda line: None)
    tables = frames.read(tmp_path)
    assert list(tables.runs["seed"]) == [1, 2]
    assert list(tables.runs["started"]) == ["2026-01-02T12:00:00+00:00", "2026-01-02T03:00:00+00:00"]
    assert (tables.runs["total_seconds"] > 0).all()
    assert (tables.epochs["seconds"] >= 0).all()


@pytest.mark.parametrize("points", [20])
def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path, points: int) -> None:
    entry = ZOO["tf-model-1"]
    whole = tmp_path / "whole"
    checkpoint.write(whole, initial_weights.initial(entry.spec, 1), {"model": entry.name})
    size = whole.stat().st_size
    for cut in random.Random(1).sample(range(size), points):
        file = tmp_path / "cut"
        file.write_bytes(whole.read_bytes()[:cut])
        with pytest.raises(CheckpointError):
            checkpoint.check(checkpoint.read(file), file, entry.spec)


@pytest.mark.parametrize("cell", [b"\xff\xfe\x80", b'"' + b"x" * 200_000 + b'"'], ids=["no text", "huge"])
@pytest.mark.parametrize("name", TABLES_OF_A_RUN)
def test_a_cell_that_is_no_text_or_huge_is_one_sentence(tmp_path: Path, name: str, cell: bytes) -> None:
    add_run(tmp_path)
    path = tmp_path / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, cell, lines[-1][lines[-1].index(b",") :]]))
    with pytest.raises(ResultsError, match="Cannot read"):
        frames.read(tmp_path)
    report = subprocess.run(
        [sys.executable, "-m", "common.check", "--results", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in report.stderr


def test_a_folder_that_only_the_owner_may_write_is_one_sentence(tmp_path: Path) -> None:
    """As root too, who may write anywhere unless that is taken away."""
    folder = tmp_path / "results"
    folder.mkdir(mode=0o555)
    words = [sys.executable, FRAMEWORKS["pytorch"].script, *SHORT, "--results", str(folder)]
    if os.geteuid() == 0:
        words = ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override", *words]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr == f"pytorch.py: Cannot write results to {folder}: Permission denied.\n"
    assert list(folder.iterdir()) == []


def test_the_page_of_faults_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    code = "".join((ROOT / name).read_text() for name in set(re.findall(r"tests/\w+/test_\w+\.py", page)))
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in code] == []
