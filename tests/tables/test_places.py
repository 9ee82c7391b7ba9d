"""What is in the place of a table, or has no room, is found before a run is trained, or leaves the tables as
they were."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from support.rows import add

from common.bench import __main__ as bench
from common.bench import tasks
from common.tables.schema import TABLES, TABLES_OF_A_RUN, Run, header
from common.tables.store import ResultsError, check_writable, rows

posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes and links of POSIX")

PLACES: dict[str, Callable[[Path], None]] = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a device": lambda path: path.symlink_to(os.devnull),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "links in a circle": lambda path: path.symlink_to(path),
}
ACTIONS: dict[str, Callable[[Path, str], object]] = {
    "check": lambda folder, name: check_writable(folder),
    "append": lambda folder, name: add(folder, "a"),
    "read": rows,
}


@posix
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_no_file_is_named(tmp_path: Path, name: str, place: str, action: str) -> None:
    """Nothing waits for a pipe, is read from a device, or is written to another table."""
    PLACES[place](tmp_path / name)
    with pytest.raises(ResultsError) as refusal:
        ACTIONS[action](tmp_path, name)
    assert name in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {name}


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_may_not_be_written_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(f"{','.join(header(TABLES[name]))}\n")
    path.chmod(0o444)
    with pytest.raises(ResultsError, match=f"{name}: Permission denied"):
        check_writable(tmp_path)


@posix
@pytest.mark.parametrize(
    ("name", "place"),
    [
        *product(["speed.csv", "bench.log"], PLACES),
        *((".bench.lock", place) for place in PLACES if place != "a pipe"),  # which can be locked
        (".lock", "a folder"),
    ],
)
def test_a_bench_ends_before_it_runs_a_task(
    tmp_path: Path,
    name: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tasks, "run_task", None)
    PLACES[place](tmp_path / name)
    assert bench.main(["--models", "tf-model-1", "--seeds", "1", "--results", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bench: ")
    assert name in line


def fail_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the disk be full at that call of fsync."""
    calls = iter(range(call + 1))

    def fsync(descriptor: int) -> None:
        if next(calls) == call:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.mark.parametrize("full", range(len(TABLES_OF_A_RUN)))
@pytest.mark.parametrize("before", [0, 1])
def test_a_run_without_room_in_a_table_is_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: int, before: int
) -> None:
    for run in "ab"[:before]:
        add(tmp_path, run)
    tables = contents(tmp_path)
    with monkeypatch.context() as patch:
        fail_at(patch, full)
        with pytest.raises(ResultsError, match="No space left"):
            add(tmp_path, "c")
    assert contents(tmp_path) == tables
    add(tmp_path, "c")
    assert [row["run"] for row in rows(tmp_path, "results.csv")] == [*"ab"[:before], "c"]


def test_an_older_table_that_cannot_be_completed_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = header(Run)[:-1]
    (tmp_path / "results.csv").write_text(f"{','.join(older)}\n{','.join('1' * len(older))}\n")
    tables = contents(tmp_path)
    fail_at(monkeypatch, 2)  # after the epochs and the errors
    with pytest.raises(ResultsError, match="No space left"):
        add(tmp_path, "c")
    assert contents(tmp_path) == tables
