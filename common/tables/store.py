"""Appends rows to the tables, reads and merges them. Plain CSV: a header line, then one line per row.

A row counts once it is whole: readers skip a torn last row, the next append cuts it off. A last row that
lacks only its newline, which an editor strips, is whole. A run's epochs and errors are written before its row
in results.csv, so a run that has a row has all of them. New columns come after the last one: in a table
without them they are read as empty, and the next append completes it.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import io
import itertools
import operator
import os
import re
import secrets
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from common import files
from common.printable import printable
from common.tables.schema import (
    FIRST_VERSION_ENDS,
    KEYS,
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
    """Create `folder` and check that rows can be appended to its tables. Raises ResultsError if not."""
    try:
        files.check_writable(folder)
        with files.locked(folder):
            for name, row_class in TABLES.items():
                path = folder / name
                _check_header(path, row_class)
                if files.is_file(path):
                    _check_lines(path, path.read_bytes())
                    path.open("r+b").close()
    except OSError as error:
        raise ResultsError(_sentence(folder, error)) from None


def check_creatable(folder: Path) -> None:
    """Raise ResultsError unless `folder`, which is not there yet, can be created and written; it is not there
    afterwards either."""
    try:
        files.check_creatable(folder)
    except OSError as error:
        raise ResultsError(_sentence(folder, error)) from None


def _sentence(folder: Path, error: OSError) -> str:
    name = Path(error.filename or "").name
    file = f"{name}: " if name in (*TABLES, ".lock") else ""
    return f"Cannot write results to {folder}: {file}{error.strerror or error}."


def is_table(path: Path, folder: Path) -> bool:
    """Whether `path` is a table of `folder`, or the file that locks it."""
    return path.resolve() in [(folder / name).resolve() for name in (*TABLES, ".lock", ".bench.lock")]


def new_run() -> str:
    """A name for a run: hexadecimal, from a letter on, so that no spreadsheet reads a number."""
    return secrets.choice("abcdef") + secrets.token_hex(6)[1:]


def append(folder: Path, run: Run, epochs: Sequence[EpochRow] = (), errors: Sequence[ErrorRow] = ()) -> None:
    """Append a run with its epochs and errors: one write per table, all under one lock.

    Raises ResultsError for a table with another header or that cannot be written.
    """
    _append(folder, dict(zip(TABLES_OF_A_RUN, (epochs, errors, [run]), strict=True)))


def append_rows(folder: Path, table: str, added: Sequence[Row]) -> None:
    """Append rows to one table. Raises ResultsError as `append` does."""
    _append(folder, {table: added})


def complete_tables(folder: Path) -> dict[str, bytes]:
    """The existing tables of runs in `folder`, by name, as bytes: header and complete rows."""
    paths = [folder / name for name in TABLES_OF_A_RUN]
    return {path.name: _complete_rows(path) for path in paths if path.is_file()}


def merge(folder: Path, tables: Mapping[str, bytes]) -> None:
    """Append the rows of tables from another folder, as `complete_tables` returns them.

    Raises ResultsError as `append` does, and for other columns than this version's.
    """
    lines = {}
    # A run's row comes last, as in `append`: whoever finds it finds its epochs and errors too.
    for name in dict.fromkeys((*TABLES_OF_A_RUN, *TABLES)):
        if name in tables:
            first, _, lines[name] = tables[name].partition(b"\n")
            if first.decode(errors="replace") != ",".join(header(TABLES[name])):
                raise ResultsError(
                    f"A worker returned {name} with different columns: it may be running another version of "
                    f"the code. Its header is {first.decode(errors='replace')[:200]!r}."
                )
    _append_text(folder, lines)


def _append(folder: Path, added: Mapping[str, Sequence[Row]]) -> None:
    # All rows are formatted before any is written.
    _append_text(folder, {name: _lines(rows) for name, rows in added.items()})


def _append_text(folder: Path, lines: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.locked(folder), contextlib.ExitStack() as undo:
            for name, row_class in TABLES.items():
                _check_header(folder / name, row_class)
            for name, text in lines.items():
                _append_lines(folder / name, TABLES[name], text, undo)
            undo.pop_all()
    except OSError as error:
        raise ResultsError(_sentence(folder, error)) from None


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    """The complete rows of table `name` as text by column; an empty list if there is no table yet."""
    path = folder / name
    try:
        if not files.is_file(path):
            return []
        _check_header(path, TABLES[name])
        table = _complete_rows(path)
        _check_lines(path, table)
        return parse(path, table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"Cannot read {path}: {reason}.") from None


def parse(path: Path, table: bytes) -> list[dict[str, str]]:
    """The rows of `table`, the content of the file `path` with its header, as text by column.

    A row that the table has twice counts once. Raises ResultsError, with file and line, for a row with too
    many or too few cells, and for one that repeats the key of another with different values.
    """
    columns = header(TABLES[path.name])
    reader = csv.reader(io.StringIO(table.decode(), newline=""))
    next(reader, None)  # the header, which may lack the last columns
    all_cells = list(filter(None, reader))
    sound = {len(cells) for cells in all_cells} == {len(columns)}
    if not sound or len(set(map(_key_of(path.name), all_cells))) < len(all_cells):
        all_cells = [cells for _, cells in _numbered_rows(path, table)]
    # The rows are checked together, because errors.csv has hundreds of thousands of them.
    return [dict(zip(columns, cells, strict=True)) for cells in all_cells]


def line_of_row(path: Path, row: int) -> int:
    """The number, from 1, of the line in the file `path` that has the row with index `row` of `rows`."""
    return next(itertools.islice(_numbered_rows(path, _complete_rows(path)), row, None))[0]


def _key_of(name: str) -> Callable[[Sequence[str]], object]:
    """A function of a row's cells in table `name`: the values of KEYS."""
    columns = header(TABLES[name])
    return operator.itemgetter(*(columns.index(column) for column in KEYS.get(name, columns)))


def _numbered_rows(path: Path, table: bytes) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row, as `parse` describes them; empty lines are skipped."""
    columns = header(TABLES[path.name])
    fewest = columns.index(FIRST_VERSION_ENDS.get(path.name, columns[-1])) + 1
    key_of = _key_of(path.name)
    lines: dict[object, tuple[int, list[str]]] = {}
    reader = csv.reader(io.StringIO(table.decode(), newline=""))
    next(reader, None)  # the header, which may lack the last columns
    for cells in filter(None, reader):
        line = reader.line_num
        if not fewest <= len(cells) <= len(columns):
            raise ResultsError(
                f"{path}, line {line}: a row of {len(cells)} cells, not of {len(columns)}. "
                f"It is {_shortened(','.join(cells))!r}."
            )
        cells += [""] * (len(columns) - len(cells))
        first, present = lines.setdefault(key_of(cells), (line, cells))
        if first == line:
            yield line, cells
        elif present != cells:
            differing = next(c for c, *pair in zip(columns, present, cells, strict=True) if len({*pair}) > 1)
            there, here = (row[columns.index(differing)] for row in (present, cells))
            key = ", ".join(f"{column} {cells[columns.index(column)]}" for column in KEYS[path.name])
            raise ResultsError(
                f"{path}, line {line}: {key} is in line {first} already, with other values: {differing} "
                f"{there!r} there, {here!r} here. Remove one of the lines."
            )


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."


def _check_lines(path: Path, table: bytes) -> None:
    """Raise ResultsError, with file and line, for what joining tables by hand or a merge leaves in them."""
    head = b",".join(name.encode() for name in header(TABLES[path.name])[:2])
    signs = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||", b"\n" + head, codecs.BOM_UTF8 + head)
    if not any(sign in table for sign in signs):
        return  # long tables are read at every start: this takes a quarter of the patterns' time
    marker = re.search(rb"\n(<{7}|={7}|>{7}|\|{7})(?=[ \r\n])", table)
    second = re.search(rb"\n(\xef\xbb\xbf)?%s," % head, table)
    for fault, meaning in (
        (marker, "a conflict marker of a merge. Remove its lines; the rows of both sides may stay."),
        (second, "a second header. Remove its line; the rows below may stay."),
    ):
        if fault:
            line = table.count(b"\n", 0, fault.start()) + 2
            text = table[fault.start() + 1 :].partition(b"\n")[0].decode(errors="replace").rstrip("\r")
            raise ResultsError(f"{path}, line {line}: {_shortened(text)!r} is {meaning}")


def _complete_rows(path: Path) -> bytes:
    """The content of a table without a torn last row, up to a newline."""
    text = path.read_bytes()
    end = text.rfind(b"\n") + 1
    header_line = text[: text.find(b"\n") + 1]
    return text + b"\n" if _is_row(text[end:], TABLES[path.name], header_line) else text[:end]


def _is_row(tail: bytes, row_class: type[Row], header_line: bytes) -> bool:
    """Whether `tail`, what follows the last newline, is a whole row: an editor stripped its newline.

    A row has a cell for each column of the table's header, and its last one is what the column holds. A write
    that was cut within the digits of a last cell cannot be recognised. Writes end there hardly ever, and only
    a run's row in results.csv, written after all others, makes its other rows count.
    """
    try:
        cells = next(csv.reader([tail.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return False
    columns = _columns_of(header_line)
    if not cells or len(cells) != len(columns):
        return False
    hint = typing.get_type_hints(row_class)[columns[-1]]
    kinds = typing.get_args(hint) or (hint,)
    if cells[-1] == "":
        return type(None) in kinds
    if str in kinds:
        return True
    try:
        float(cells[-1])
    except ValueError:
        return False
    return True


def _columns_of(header_line: bytes) -> list[str]:
    """The names in a header: spreadsheets write a byte order mark before it, and quotes around its cells."""
    text = header_line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    return next(csv.reader([text]), [])


def _check_header(path: Path, row_class: type[Row]) -> None:
    if not files.is_file(path):
        return
    with path.open("rb") as file:
        first = file.readline()
    actual = first.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    present, columns, expected = _columns_of(first), header(row_class), ",".join(header(row_class))
    torn = not first.endswith(b"\n") and expected.startswith(actual)  # killed while it created the file
    older = present == columns[: len(present)] and FIRST_VERSION_ENDS.get(path.name, columns[-1]) in present
    if not torn and not older:
        pairs = enumerate(itertools.zip_longest(present, columns, fillvalue="missing"), start=1)
        number, (actual, wanted) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
        difference = f"column {number} is {printable(actual):.80}, and {wanted} is expected"
        raise ResultsError(
            f"{path} has another header ({difference}); "
            "nothing is read from it or written to it. Move it away, or name another folder with --results."
        )


def _lines(rows: Iterable[Row]) -> bytes:
    """Rows as lines of CSV. Raises ResultsError for a cell of several lines, and integers beyond 64 bits."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows(
        [
            _cell(column, value)
            for column, value in zip(header(type(row)), dataclasses.astuple(row), strict=True)
        ]
        for row in rows
    )
    try:
        return buffer.getvalue().encode()
    except UnicodeEncodeError as error:
        raise ResultsError(f"A cell is not text: {error}.") from None


def _append_lines(path: Path, row_class: type[Row], lines: bytes, undo: contextlib.ExitStack) -> None:
    """Write lines after the last whole row, in one write; a torn row is cut off. `undo` removes the lines."""
    if files.is_file(path):
        _complete_columns(path, row_class)
    else:
        undo.callback(path.unlink, missing_ok=True)
    with path.open("a+b", buffering=0) as file:
        end, columns = _end_of_rows(path), ",".join(header(row_class)).encode() + b"\n"
        file.seek(end)
        unwritten = (columns if end == 0 else b"") + lines
        if end > 0 and _is_row(tail := file.read(), row_class, columns):
            end += len(tail)
            unwritten = b"\n" + lines
        file.truncate(end)
        undo.callback(os.truncate, path, end)  # a full disk accepts some of the rows, and perhaps part of one
        while unwritten:
            unwritten = unwritten[file.write(unwritten) :]
        os.fsync(file.fileno())


def _complete_columns(path: Path, row_class: type[Row]) -> None:
    """Add the missing columns, empty, to a table of an older version; all of it is replaced, or nothing."""
    columns = header(row_class)
    with path.open("rb") as file:
        missing = len(columns) - len(_columns_of(file.readline()))
    if _end_of_rows(path) == 0 or missing == 0:
        return
    lines = [line.rstrip(b"\r") for line in _complete_rows(path).split(b"\n")[1:-1]]
    completed = [",".join(columns).encode(), *(line + b"," * missing for line in lines if line)]
    files.write(path.resolve(), b"".join(line + b"\n" for line in completed))


def _end_of_rows(path: Path) -> int:
    """Offset just after the last newline; searched from the end, so that a long table costs no more."""
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


def _cell(column: str, value: object) -> str:
    """A value as text; seven significant digits are more than the precision of any measurement."""
    if value is None:
        return ""
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    if "\n" in text or "\r" in text:
        raise ResultsError(f"A cell must be one line, not {text!r}.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ResultsError(f"A cell's integer must fit into 64 bits, not {column} {text}.")
    return text
