"""Faults of real machines, made on purpose: kills at any moment, a full disk, two benches at once, a clock
that jumps back, cells that are no text. docs/reliability.md lists them."""

from __future__ import annotations

import datetime
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.jobs import job
from support.recorder import RecorderBackend
from support.tables import add_run, digits

from common import check
from common.analysis import frames
from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.tables import store
from common.tables.schema import TABLES_OF_A_RUN
from common.tables.store import ResultsError
from common.training import checkpoint, initial_weights, run
from common.training.checkpoint import CheckpointError

ROOT = Path(__file__).resolve().parents[2]
RECORDER = str(ROOT / "tests" / "support" / "recorder_script.py")
"""pytorch.py in which a model that learns nothing stands in for the framework."""
SHORT = ["--model", "tf-model-1", "--epochs", "1", "--no-accel", "--threads", "1"]
BENCH = ["-m", "common.bench", "--models", "tf-model-1", "--seeds", "1"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
KILLS, AT_ONCE = 24, 2
posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, limits or access modes of POSIX")


def run_for(seconds: float | None, *words: str) -> tuple[int, str]:
    """Exit status and output of a Python process that is killed after so many seconds, or never."""
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return process.returncode, output


def kill_all(runs: Sequence[tuple[float, list[str]]]) -> list[str]:
    """Output of runs that are killed after so many seconds each, AT_ONCE at a time; some end before."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda run: run_for(run[0], *run[1]), runs))
    assert -signal.SIGKILL in {status for status, _ in ends}
    return [output for _, output in ends]


def check_tables(folder: Path, outputs: Iterable[str]) -> int:
    """Check that every run that `outputs` report is in `folder`, and every row complete; number of runs."""
    reported = {
        line.split()[1] for output in outputs for line in output.splitlines() if line.startswith("Run ")
    }
    tables = frames.read(folder)
    assert reported <= set(tables.runs["run"])
    epochs = tables.epochs.groupby("run").size()
    for row in tables.runs.itertuples():
        assert row.status == "ok"
        assert epochs[row.run] == row.epochs + 1
        wrong = (tables.errors["run"] == row.run).sum()
        assert wrong == round((100 - row.accuracy) * 100)
    return len(tables.runs)


@posix
@pytest.mark.slow
def test_kills_at_random_moments_leave_tables_that_read(tmp_path: Path, mnist: Dataset) -> None:
    """A run without a framework, killed at moments spread over all of it; then a run adds its row."""
    words = [RECORDER, *SHORT, "--results", str(tmp_path), "--seed"]
    started_at = time.monotonic()
    outputs = [output for _, output in [run_for(None, *words, "0")]]
    seconds = (time.monotonic() - started_at) * 1.1
    outputs += kill_all([(seconds * (kill + 1) / KILLS, [*words, str(kill)]) for kill in range(KILLS)])
    runs = check_tables(tmp_path, outputs)
    assert runs >= 1
    status, _ = run_for(None, *words, "1")
    assert status == 0
    assert len(store.rows(tmp_path, "results.csv")) == runs + 1


@posix
@pytest.mark.slow
def test_kills_of_scripts_and_benches_leave_tables_that_read(tmp_path: Path, mnist: Dataset) -> None:
    scripts = [framework.script for framework in FRAMEWORKS.values()]
    commands = [[script, *SHORT, "--results", str(tmp_path)] for script in scripts]
    # A folder for each bench: two on the same one exclude each other.
    folders = [tmp_path / name for name in ("first-bench", "second-bench")]
    commands += [[*BENCH, "--results", str(folder)] for folder in folders]
    seconds = random.Random(1)
    outputs = kill_all([(seconds.uniform(1, 5), command) for command in commands * 2])
    for folder in (tmp_path, *folders):
        check_tables(folder, outputs if folder == tmp_path else ())


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


def run_limited(limit: int, *words: str, script: str = RECORDER) -> subprocess.CompletedProcess[str]:
    """A run of a script where no file can be larger than `limit` bytes."""
    command = [sys.executable, "-c", LIMITED, str(limit), script, *SHORT, *words]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)


def one_line(ended: subprocess.CompletedProcess[str]) -> str:
    """The only line of its stderr."""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("pytorch.py: ")
    return line


@posix
@pytest.mark.slow
@pytest.mark.parametrize("full", TABLES_OF_A_RUN)
def test_a_disk_that_is_full_costs_the_run_alone(tmp_path: Path, full: str) -> None:
    """Whichever table does not fit: one line, no partial row, and the earlier rows unchanged."""
    add_run(tmp_path)
    path = tmp_path / full
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, *[lines[-1]] * (400_000 // len(lines[-1]))]))
    room = path.stat().st_size + 30
    before = store.rows(tmp_path, "results.csv")
    ended = run_limited(room, "--results", str(tmp_path))
    assert ended.returncode == 2
    assert f"{tmp_path}: File too large" in one_line(ended)
    assert store.rows(tmp_path, "results.csv") == before
    assert path.read_bytes().endswith(b"\n")
    add_run(tmp_path, seed=2)
    assert len(store.rows(tmp_path, "results.csv")) == len(before) + 1


@posix
@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"the old one")
    words = ["--results", str(tmp_path), "--save-model", str(file)]
    ended = run_limited(200_000, *words, script=FRAMEWORKS["pytorch"].script)
    assert ended.returncode == 2
    assert f"{file}: File too large" in one_line(ended)
    assert file.read_bytes() == b"the old one"
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["ok"]
    assert not list(tmp_path.glob(".*.template-ml"))


@posix
@pytest.mark.slow
@pytest.mark.network
def test_a_cache_that_does_not_fit_is_reported_and_left_empty(tmp_path: Path) -> None:
    ended = run_limited(1_000_000, "--results", str(tmp_path), "--data-dir", str(tmp_path / "data"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("pytorch.py: ")
    assert "Traceback" not in ended.stderr
    assert not [path for path in (tmp_path / "data").rglob("*ubyte*") if path.stat().st_size]


# Other faults


@pytest.mark.slow
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


def test_a_clock_that_jumps_back_changes_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `started` is read from the wall clock; seconds are read from a monotonic one."""
    hours = iter([12, 3])

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime(2026, 1, 2, next(hours), tzinfo=datetime.UTC)

    monkeypatch.setattr(run.datetime, "datetime", Jumping)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    for seed in (1, 2):
        repeated = job("tf-model-1", 2, seed=seed, results=tmp_path)
        run.execute(RecorderBackend(accelerate=False, threads=1), digits(), repeated, show=lambda line: None)
    tables = frames.read(tmp_path)
    assert list(tables.runs["seed"]) == [1, 2]
    assert list(tables.runs["started"]) == ["2026-01-02T12:00:00+00:00", "2026-01-02T03:00:00+00:00"]
    assert (tables.runs["total_seconds"] > 0).all()
    assert (tables.epochs["seconds"] >= 0).all()


def test_a_checkpoint_cut_anywhere_is_refused(tmp_path: Path) -> None:
    entry = ZOO["tf-model-1"]
    whole = tmp_path / "whole"
    checkpoint.write(whole, initial_weights.initial(entry.spec, 1), {"model": entry.name})
    size = whole.stat().st_size
    for cut in random.Random(1).sample(range(size), 20):
        file = tmp_path / "cut"
        file.write_bytes(whole.read_bytes()[:cut])
        with pytest.raises(CheckpointError):
            checkpoint.check(checkpoint.read(file), file, entry.spec)


@pytest.mark.parametrize("cell", [b"\xff\xfe\x80", b'"' + b"x" * 200_000 + b'"'], ids=["no text", "huge"])
@pytest.mark.parametrize("name", TABLES_OF_A_RUN)
def test_a_cell_that_is_no_text_or_huge_is_one_sentence(
    tmp_path: Path, name: str, cell: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(tmp_path)
    path = tmp_path / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, cell, lines[-1][lines[-1].index(b",") :]]))
    with pytest.raises(ResultsError, match="Cannot read"):
        frames.read(tmp_path)
    assert check.main(["--results", str(tmp_path)]) != 0
    assert str(path) in capsys.readouterr().err


@posix
def test_a_folder_that_only_the_owner_may_write_is_one_sentence(tmp_path: Path) -> None:
    """Also for root, without the capability to write anywhere."""
    folder = tmp_path / "results"
    folder.mkdir(mode=0o555)
    words = [sys.executable, RECORDER, *SHORT, "--results", str(folder)]
    if os.geteuid() == 0:
        words = ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override", *words]
    ended = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert str(folder) in one_line(ended)
    assert "Permission denied" in ended.stderr
    assert list(folder.iterdir()) == []


def test_the_page_of_faults_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    code = "".join(
        (ROOT / name).read_text() for name in set(re.findall(r"tests/(?:\w+/)?test_\w+\.py", page))
    )
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in code] == []
