"""The tables survive writers at once, a kill at any byte, foreign files and odd text."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rows import COLUMNS, EPOCH, ERROR, NAMES, RUN, add, contents, runs

from common.tables import store
from common.tables.schema import EpochRow, ErrorRow, Row, Run, Status, header
from common.tables.store import ResultsError, append, check_writable, rows

ROOT = Path(__file__).resolve().parents[2]

FIRST = COLUMNS["results.csv"].partition(", import_seconds")[0].split(", ")
"""The columns of results.csv in its first version."""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests cut files themselves; a thousand appends would take seconds to reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


# What is written


@pytest.mark.parametrize("name", NAMES)
def test_columns_and_their_order(tmp_path: Path, name: str) -> None:
    add(tmp_path, "r0")
    columns = COLUMNS[name].split(", ")
    assert (tmp_path / name).read_text().splitlines()[0] == ",".join(columns)
    assert list(rows(tmp_path, name)[0]) == columns


def test_rows_are_in_the_order_of_appending(tmp_path: Path) -> None:
    assert rows(tmp_path, "results.csv") == []
    check_writable(tmp_path / "new" / "folder")
    assert contents(tmp_path / "new" / "folder") == {}
    for run in ("b", "a", "c"):
        add(tmp_path, run, epochs=2, errors=1)
    assert runs(tmp_path) == ["b", "a", "c"]
    assert runs(tmp_path, "epochs.csv") == ["b", "b", "a", "a", "c", "c"]
    assert [row["epoch"] for row in rows(tmp_path, "epochs.csv")] == ["0", "1"] * 3
    assert runs(tmp_path, "errors.csv") == ["b", "a", "c"]


def test_the_row_of_a_run_is_merged_after_its_epochs_and_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed between two tables leaves no row of a run without the others."""
    add(tmp_path / "from", "a")

    def killed(folder: Path, lines: Mapping[str, bytes]) -> None:
        assert list(lines)[-1] == "results.csv"
        assert len(lines) == 3

    monkeypatch.setattr(store, "_append_text", killed)
    store.merge(tmp_path / "to", store.complete_tables(tmp_path / "from"))


def test_a_run_without_epochs_or_errors(tmp_path: Path) -> None:
    append(tmp_path, dataclasses.replace(RUN, status="diverged", accuracy=None, loss=None))
    (row,) = rows(tmp_path, "results.csv")
    assert (row["status"], row["accuracy"], row["loss"]) == ("diverged", "", "")
    assert rows(tmp_path, "epochs.csv") == rows(tmp_path, "errors.csv") == []


PLAIN = st.text(
    st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]) | st.sampled_from(list(",\"' ;\t"))
)
FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    str: PLAIN,
    Status: st.sampled_from(typing.get_args(Status)),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    float | None: st.none() | st.floats(allow_nan=False),
    str | None: st.none() | PLAIN,
}


def any_row(row_class: type[Row]) -> st.SearchStrategy[Row]:
    fields = {name: FIELDS[hint] for name, hint in typing.get_type_hints(row_class).items()}
    return st.fixed_dictionaries(fields).map(lambda values: row_class(**values))


@settings(max_examples=60)
@given(
    any_row(Run),
    st.lists(any_row(EpochRow), max_size=2, unique_by=lambda row: (row.run, row.epoch)),
    st.lists(any_row(ErrorRow), max_size=2, unique_by=lambda row: (row.run, row.index)),
)
def test_any_row_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, run: Run, epochs: list[EpochRow], errors: list[ErrorRow]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    add(folder, "before")
    append(folder, run, epochs, errors)
    add(folder, "after")
    tables: dict[str, Sequence[Row]] = {"results.csv": [run], "epochs.csv": epochs, "errors.csv": errors}
    for name, written in tables.items():
        table = rows(folder, name)
        others = {"results.csv": 1, "epochs.csv": 2, "errors.csv": 3}[name]
        assert len(table) == len(written) + 2 * others
        for row, cells in zip(written, table[others:-others], strict=True):
            for column, value in dataclasses.asdict(row).items():
                if value is None:
                    assert cells[column] == ""
                elif isinstance(value, float):
                    assert float(cells[column]) == pytest.approx(value, rel=5.1e-7, abs=0)
                else:
                    assert cells[column] == str(value)


# A kill in the middle of a row


@pytest.mark.parametrize("name", NAMES)
def test_a_row_cut_at_any_byte_costs_that_row_alone(tmp_path: Path, name: str) -> None:
    """The next append removes the torn row. The text has bytes that are no character by themselves.

    The row is whole once only its newline is missing.
    """
    folder = tmp_path / "results"
    for run in ("a", "b"):
        add(folder, run, epochs=1, errors=1)
    path = folder / name
    intact = path.read_bytes()
    odd = 'née, "β½" 日本'
    add(folder, odd, epochs=1, errors=1)
    whole = path.read_bytes()
    assert whole.startswith(intact)
    assert whole.endswith(b"\n")
    assert runs(folder, name)[-1] == odd
    for size in range(len(intact), len(whole) - 1):
        path.write_bytes(whole[:size])
        assert runs(folder, name) == ["a", "b"], f"cut at byte {size}"
        add(folder, "c", epochs=1, errors=1)
        assert runs(folder, name) == ["a", "b", "c"], f"repaired after a cut at byte {size}"
        assert path.read_bytes().startswith(intact)


@pytest.mark.parametrize("name", NAMES)
def test_a_header_cut_at_any_byte_is_written_again(tmp_path: Path, name: str) -> None:
    add(tmp_path, "a")
    line = (tmp_path / name).read_bytes().splitlines(keepends=True)[0]
    for size in range(0, len(line), 7):
        (tmp_path / name).write_bytes(line[:size])
        assert rows(tmp_path, name) == []
        add(tmp_path, "b", epochs=1, errors=1)
        assert runs(tmp_path, name) == ["b"]


def test_the_last_row_is_found_in_a_table_longer_than_the_search_window(tmp_path: Path) -> None:
    """The end is searched for backwards in blocks of 64 KiB: torn rows shorter and longer than a block."""
    add(tmp_path, "a", errors=20_000)
    path = tmp_path / "errors.csv"
    intact = path.read_bytes()
    assert len(intact) > 2 * 65536
    for torn in (1, 65535, 65536, 65537, 200_000):
        path.write_bytes(intact + b"x" * torn)
        add(tmp_path, "b", errors=1)
        assert path.read_bytes() == intact + b"b,0,7\n"


# Tables from other programs

BOM = b"\xef\xbb\xbf"
REWRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "without the last newline": lambda table: table.removesuffix(b"\n"),
    "with empty lines": lambda table: table + b"\n\r\n",
    "with CRLF": lambda table: table.replace(b"\n", b"\r\n"),
    "with CRLF, without the last one": lambda table: table.replace(b"\n", b"\r\n").removesuffix(b"\r\n"),
    "with a byte order mark": lambda table: BOM + table,
    "every cell quoted": lambda table: b"".join(
        b",".join(b'"' + cell + b'"' for cell in line.split(b",")) + b"\n" for line in table.splitlines()
    ),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rewrite", REWRITTEN)
@pytest.mark.parametrize("shifted_accuracy", [None, 99.51])
def test_a_table_that_an_editor_or_a_spreadsheet_saved_loses_no_row(
    tmp_path: Path, name: str, rewrite: str, shifted_accuracy: float | None
) -> None:
    row = dataclasses.replace(RUN, machine="a processor", augment="none", shifted_accuracy=shifted_accuracy)
    for run in ("a", "b"):
        epoch, error = dataclasses.replace(EPOCH, run=run), dataclasses.replace(ERROR, run=run)
        append(tmp_path, dataclasses.replace(row, run=run), [epoch], [error])
    before = rows(tmp_path, name)
    path = tmp_path / name
    path.write_bytes(REWRITTEN[rewrite](path.read_bytes()))
    check_writable(tmp_path)
    assert rows(tmp_path, name) == before
    add(tmp_path, "c", epochs=1, errors=1)
    assert rows(tmp_path, name)[:2] == before
    assert runs(tmp_path, name) == ["a", "b", "c"]


def test_an_older_table_that_a_spreadsheet_saved_is_completed(tmp_path: Path) -> None:
    """The missing cells come before the carriage return, and the last row counts without its newline."""
    check_writable(tmp_path)
    lines = [",".join(FIRST), *(",".join([run] * len(FIRST)) for run in "12")]
    (tmp_path / "results.csv").write_bytes(BOM + "\r\n".join(lines).encode())
    before = rows(tmp_path, "results.csv")
    assert [row["run"] for row in before] == ["1", "2"]
    add(tmp_path, "c")
    assert b"\r" not in (tmp_path / "results.csv").read_bytes()
    assert rows(tmp_path, "results.csv")[:-1] == before


def test_a_full_disk_leaves_a_last_row_without_its_newline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "a")
    path = tmp_path / "results.csv"
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match="No space left"):
        append(tmp_path, RUN)
    assert path.read_bytes() == before


# Writers at once

WRITER = """
import dataclasses, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3].split(":")
from support.rows import EPOCH, ERROR, RUN, add
folder, name = Path(sys.argv[1]), sys.argv[2]
(folder / f"{name}.ready").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
for number in range(5):
    add(folder / "results", f"{name}-{number}", epochs=3, errors=4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("writers", [2, 8])
def test_writers_at_once_lose_nothing(tmp_path: Path, writers: int) -> None:
    """They wait for each other at the start, so that even the creation of folder and tables is contended."""
    paths = f"{ROOT}:{ROOT / 'tests'}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), f"w{number}", paths],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("*.ready"))) < writers:
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.communicate(timeout=300)[1] for process in processes] == [""] * writers
    assert [process.returncode for process in processes] == [0] * writers

    folder = tmp_path / "results"
    expected = sorted(f"w{writer}-{number}" for writer in range(writers) for number in range(5))
    assert sorted(runs(folder)) == expected
    for name, column, each in (("epochs.csv", "epoch", 3), ("errors.csv", "index", 4)):
        table = rows(folder, name)
        # A run's rows are together and in order: one write under one lock.
        assert [int(row[column]) for row in table] == list(range(each)) * len(expected)
        assert sorted(row["run"] for row in table[::each]) == expected
        assert all(row["run"] == table[index - index % each]["run"] for index, row in enumerate(table))


# Older versions


def test_a_table_without_the_columns_that_came_later_is_read_and_completed(tmp_path: Path) -> None:
    """Row by row, whatever their cells contain; a torn last row is removed."""
    folder = tmp_path / "results"
    check_writable(folder)
    name, old = "results.csv", [str(number) for number in range(len(FIRST))]
    for kept in range(len(FIRST), len(header(Run))):
        older = header(Run)[:kept]
        quoted = [*old[:-1], '"a, b"', *["1.5"] * (kept - len(FIRST))]
        (folder / name).write_text(f"{','.join(older)}\n{','.join(quoted)}\n{','.join(old[:5])}")
        (row,) = rows(folder, name)
        assert row["run"] == "a, b"
        assert list(row) == header(Run)
        assert [row[column] for column in older[len(FIRST) :]] == ["1.5"] * (kept - len(FIRST))
        assert {row[column] for column in header(Run)[kept:]} == {""}
        add(folder, "new")
        assert (folder / name).read_text().splitlines()[0] == ",".join(header(Run))
        assert [row, rows(folder, name)[1]] == rows(folder, name)
        assert runs(folder) == ["a, b", "new"]
        assert sorted(contents(folder)) == ["epochs.csv", "errors.csv", "results.csv"]
