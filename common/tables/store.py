"""The tables: append a run or a timing, read them back. Plain CSV, a header line, a row a line.

A row counts once its newline is on disk: a reader leaves a torn last row out, the next append cuts it off.
A run's epochs and errors are written before its row in results.csv, so a run that has a row has all of them.
New columns come after the last one: a table without them is read as having them empty, and the next append
gives it them.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from common.tables.schema import (
    FIRST_VERSION_ENDS,
    TABLES,
    TABLES_OF_A_RUN,
    EpochRow,
    ErrorRow,
    Row,
    Run,
    header,
)


class ResultsError(Exception):
    """A table that cannot be read or written; the message is for the person at the terminal."""


def check_writable(folder: Path) -> None:
    """Make `folder` and check that rows can be appended to it. Raises ResultsError with the reason."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            for name, kind in TABLES.items():
                _check_header(folder / name, kind)
            probe = folder / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
    except OSError as error:
        raise ResultsError(f"Cannot write results to {folder}: {error.strerror or error}.") from None


def append(folder: Path, run: Run, epochs: Sequence[EpochRow] = (), errors: Sequence[ErrorRow] = ()) -> None:
    """Add a run with its epochs and errors: each table one write, all under one lock.

    Raises ResultsError when a table has another header, or cannot be written.
    """
    _append(folder, dict(zip(TABLES_OF_A_RUN, (epochs, errors, [run]), strict=True)))


def append_rows(folder: Path, table: str, added: Sequence[Row]) -> None:
    """Add rows to one table. Raises ResultsError as `append` does."""
    _append(folder, {table: added})


def complete_tables(folder: Path) -> dict[str, bytes]:
    """The tables of a run as they are in `folder`, header and complete rows; those that are there."""
    found = {}
    for name in TABLES_OF_A_RUN:
        path = folder / name
        if path.exists():
            found[name] = _complete_rows(path)
    return found


def merge(folder: Path, tables: Mapping[str, bytes]) -> None:
    """Add the rows of `whole` tables from elsewhere. Raises ResultsError as `append` does, and where those
    have other columns than these."""
    lines = {}
    for name in TABLES_OF_A_RUN:
        if name in tables:
            first, _, lines[name] = tables[name].partition(b"\n")
            if first.decode(errors="replace") != ",".join(header(TABLES[name])):
                raise ResultsError(f"A run elsewhere wrote a {name} with other columns: is its code another?")
    _append_text(folder, lines)


def _append(folder: Path, new: Mapping[str, Sequence[Row]]) -> None:
    # All is text before anything is written.
    _append_text(folder, {name: _lines(part) for name, part in new.items()})


def _append_text(folder: Path, lines: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            for name, kind in TABLES.items():
                _check_header(folder / name, kind)
            for name, text in lines.items():
                _append_lines(folder / name, TABLES[name], text)
    except OSError as error:
        raise ResultsError(f"Cannot write results to {folder}: {error.strerror or error}.") from None


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    """The complete rows of table `name` as text by column; none where there is no table yet."""
    path = folder / name
    try:
        if not path.exists():
            return []
        _check_header(path, TABLES[name])
        return parse(name, _complete_rows(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"Cannot read {path}: {error}.") from None


def parse(name: str, table: bytes) -> list[dict[str, str]]:
    """The rows of `table`, which is of the kind of `name` and has its header, as text by column."""
    lines = io.StringIO(table.decode(), newline="")
    lines.readline()  # the header, which may lack the last columns
    return list(csv.DictReader(lines, header(TABLES[name]), restval=""))


def _complete_rows(path: Path) -> bytes:
    """A table without what follows its last newline: a row that was torn."""
    text = path.read_bytes()
    return text[: text.rfind(b"\n") + 1]


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / ".lock", timeout=60)


def _check_header(path: Path, kind: type[Row]) -> None:
    if not path.exists():
        return
    with path.open("rb") as file:
        first = file.readline()
    found = first.decode(errors="replace").rstrip("\r\n")
    expected = ",".join(header(kind))
    torn = not first.endswith(b"\n") and expected.startswith(found)  # killed while it made the file
    older = expected.startswith(f"{found},") and FIRST_VERSION_ENDS.get(path.name) in found.split(",")
    if found != expected and not torn and not older:
        raise ResultsError(
            f"{path} has another header, so nothing is read from it or written to it.\n"
            f"  found:    {found}\n  expected: {expected}\n"
            "Move the file away, or name another folder with --results."
        )


def _lines(new: Iterable[Row]) -> bytes:
    """Rows as whole lines. Raises ResultsError for a cell that is more than a line of text."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_cell(value) for value in dataclasses.astuple(row)] for row in new)
    try:
        return buffer.getvalue().encode()
    except UnicodeEncodeError as error:
        raise ResultsError(f"A cell is not text: {error}.") from None


def _append_lines(path: Path, kind: type[Row], lines: bytes) -> None:
    """One write after the last complete row; a torn one is cut off."""
    _complete_columns(path, kind)
    with path.open("a+b", buffering=0) as file:
        end = _end_of_rows(path)
        file.truncate(end)
        left = (",".join(header(kind)).encode() + b"\n" if end == 0 else b"") + lines
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)  # a full disk takes some of the rows, and perhaps the half of one
            raise


def _complete_columns(path: Path, kind: type[Row]) -> None:
    """Give a table of an older version the columns it lacks, empty; it is written whole or not at all."""
    columns = header(kind)
    with path.open("a+b") as file:
        file.seek(0)
        missing = len(columns) - len(file.readline().rstrip(b"\r\n").split(b","))
        if _end_of_rows(path) == 0 or missing == 0:
            return
        lines = file.read().split(b"\n")[:-1]  # what follows the last newline is torn
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(
            b"".join([",".join(columns).encode(), b"\n", *(line + b"," * missing + b"\n" for line in lines)])
        )
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _end_of_rows(path: Path) -> int:
    """Offset just after the last newline, read from the end, so an append costs the same in a long table."""
    size = path.stat().st_size
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def _cell(value: object) -> str:
    """Seven significant digits tell more than any of the measurements knows."""
    if value is None:
        return ""
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    if "\n" in text or "\r" in text:
        raise ResultsError(f"A cell must be one line, not {text!r}.")
    return text
