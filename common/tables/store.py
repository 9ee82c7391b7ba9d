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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

Status = Literal["ok", "diverged", "interrupted", "failed"]


class ResultsError(Exception):
    """A table that cannot be read or written; the message is for the person at the terminal."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row of results.csv. None is an empty cell: what a failed run did not measure.

    Accuracies in percent and losses in nats: `accuracy`, `loss` on the test set after the last epoch;
    `train_accuracy`, `train_loss` the means over the last epoch's training batches, as they were trained on.
    The columns after `run` came later, so older rows have none of them. `at_once` is how many runs there were
    at most on the machine meanwhile, this one included; `reason` why a run failed; `shifted_accuracy` in
    percent.
    """

    framework: str
    model: str
    batch_size: int
    epochs: int
    accuracy: float | None
    parameters: int
    train_accuracy: float | None
    loss: float | None
    train_loss: float | None
    seed: int
    train_seconds: float | None
    first_step_seconds: float | None
    predict_seconds: float | None
    images_per_second: float | None
    peak_memory_mib: float | None
    total_seconds: float | None
    dataset: str
    optimizer: str
    schedule: str
    lr: float
    augment: str
    native: str
    loader: str
    precision: str
    device: str
    threads: int
    world_size: int
    machine: str
    framework_version: str
    python: str
    commit: str
    recipe_hash: str
    status: Status
    started: str
    run: str
    import_seconds: float | None = None
    build_seconds: float | None = None
    cpu_seconds: float | None = None
    load_before: float | None = None
    load_after: float | None = None
    at_once: float | None = None
    reason: str = ""
    shifted_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """A row of epochs.csv. Epoch 0 is the test before training: it has no training figures."""

    run: str
    epoch: int
    lr: float | None
    train_loss: float | None
    train_accuracy: float | None
    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ErrorRow:
    """A row of errors.csv: a test image (its index) that a run's last epoch got wrong, and what it said."""

    run: str
    index: int
    predicted: int


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """A row of speed.csv: the median of `rounds` measurements of one arm, with the lowest and the highest.

    What has the same `sitting` was measured on one machine in one go, so its ratios mean something.
    """

    sitting: str
    measure: str
    framework: str
    model: str
    arm: str
    value: float
    low: float
    high: float
    unit: str
    rounds: int
    device: str
    threads: int
    machine: str
    framework_version: str
    python: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class TraceRow:
    """A row of traces.csv: the loss (nats, all its digits) at a step, from 1, of a run's first ones.

    `perturb` is `ulp` where the run started from weights one unit in the last place larger, else `none`.
    `accuracy`, in percent, is that of the test after the step, where it is the last of the epoch.
    """

    sitting: str
    framework: str
    model: str
    precision: str
    perturb: str
    seed: int
    step: int
    loss: str
    machine: str
    framework_version: str
    commit: str
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class DefaultRow:
    """A row of defaults.csv: what a framework does of its own accord, in words."""

    sitting: str
    framework: str
    framework_version: str
    item: str
    value: str


Row = Run | EpochRow | ErrorRow | SpeedRow | TraceRow | DefaultRow
TABLES: dict[str, type[Row]] = {
    "results.csv": Run,
    "epochs.csv": EpochRow,
    "errors.csv": ErrorRow,
    "speed.csv": SpeedRow,
    "traces.csv": TraceRow,
    "defaults.csv": DefaultRow,
}


PARTS_OF_A_RUN = ("epochs.csv", "errors.csv", "results.csv")
"""In the order they are written in: a run's own row comes last."""

FIRST_VERSION_ENDS = {"results.csv": "run", "traces.csv": "commit"}
"""The last column of a table's first version, where others were added after it."""


def header(kind: type[Row]) -> list[str]:
    """Column names, in order."""
    return [field.name for field in dataclasses.fields(kind)]


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
    _append(folder, dict(zip(PARTS_OF_A_RUN, (epochs, errors, [run]), strict=True)))


def append_speed(folder: Path, new: Sequence[SpeedRow]) -> None:
    """Add timings. Raises ResultsError as `append` does."""
    _append(folder, {"speed.csv": new})


def append_traces(folder: Path, new: Sequence[TraceRow]) -> None:
    """Add traces. Raises ResultsError as `append` does."""
    _append(folder, {"traces.csv": new})


def append_defaults(folder: Path, new: Sequence[DefaultRow]) -> None:
    """Add a framework's defaults. Raises ResultsError as `append` does."""
    _append(folder, {"defaults.csv": new})


def complete_tables(folder: Path) -> dict[str, bytes]:
    """The tables of a run as they are in `folder`, header and complete rows; those that are there."""
    found = {}
    for name in PARTS_OF_A_RUN:
        path = folder / name
        if path.exists():
            found[name] = _complete_rows(path)
    return found


def merge(folder: Path, tables: Mapping[str, bytes]) -> None:
    """Add the rows of `whole` tables from elsewhere. Raises ResultsError as `append` does, and where those
    have other columns than these."""
    lines = {}
    for name in PARTS_OF_A_RUN:
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
