"""A session of measurements: scripts are started one after another, and what they write becomes rows.

Frameworks and arms take turns, so that a machine that slows down slows all of them. Runs that train have
their rows in results.csv as any other; the medians of a session are rows of speed.csv.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from common.bench.arguments import UsageError
from common.bench.lock import locked
from common.bench.reason import error_line
from common.bench.requested_data import MNIST, Data, requested_data
from common.cli.parent_watch import ends_with_parent
from common.frameworks import FRAMEWORKS, ROOT
from common.model.own_network import entry_of
from common.model.recipe import recipe_hash
from common.tables import machine, store
from common.tables.cores import cores
from common.tables.schema import DefaultRow, SpeedRow, TraceRow

K = TypeVar("K")


@dataclass(frozen=True, kw_only=True)
class Session:
    """The networks and frameworks to measure, on which data, where data and rows are, and when the session
    started."""

    folder: Path
    data_dir: Path | None
    models: Sequence[str]
    frameworks: Sequence[str]
    started: str = ""
    data: Data = MNIST

    def command(self, framework: str, model: str, *words: str) -> list[str]:
        """A command line of a framework's script."""
        data = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        data += ["--dataset", self.data.address] if self.data != MNIST else []
        return [*FRAMEWORKS[framework].command, "--no-accel", "--model", model, *data, *words]

    def append(self, table: str, rows: Iterable[SpeedRow | TraceRow | DefaultRow]) -> int:
        """Append rows to a table under the names of the session and of its data; the number of rows."""
        dated = [self._dated(row) for row in rows]
        store.append_rows(self.folder, table, dated)
        return len(dated)

    def _dated(self, row: SpeedRow | TraceRow | DefaultRow) -> SpeedRow | TraceRow | DefaultRow:
        if isinstance(row, DefaultRow):  # of a framework, whatever the data
            return dataclasses.replace(row, sitting=self.started)
        return dataclasses.replace(row, sitting=self.started, dataset=self.data.name)


def run_session(options: argparse.Namespace, record: Callable[[Session], str]) -> int:
    """Let `record` append the rows of a new session and return a page, and print that; an exit status.

    Raises UsageError where the networks cannot be trained on the data, or two have one name.
    """
    models = distinct(getattr(options, "models", ()))
    data = requested_data(options, models) if hasattr(options, "dataset") else MNIST
    session = Session(
        folder=options.results,
        data_dir=getattr(options, "data_dir", None),
        models=models,
        frameworks=list(dict.fromkeys(options.frameworks)),
        started=machine.now(),
        data=data,
    )
    saved = "The rows shown above are saved; to continue, name the remaining models."
    return run_locked(options.results, lambda: record(session), saved=saved)


def distinct(models: Iterable[str]) -> list[str]:
    """The networks without those that another address names too. Raises UsageError for two networks of one
    name, whose rows could not be told apart."""
    by_name: dict[str, str] = {}
    for model in models:
        entry = entry_of(model)
        first = by_name.setdefault(entry.name, model)
        digests = {recipe_hash(each.spec, each.recipe) for each in (entry, entry_of(first))}
        if len(digests) > 1:
            raise UsageError(f"{first} and {model} are two networks with the name {entry.name}; rename one.")
    return list(by_name.values())


def time_left(todo: Iterable[K], seconds: Mapping[K, Sequence[float]]) -> str:
    """`, about 0:12:30 left` for the kinds of work in `todo`, by the `seconds` of ended work of each kind.

    A kind of which none has ended counts as the mean of the others; empty before anything has ended.
    """
    if not seconds:
        return ""
    means = {kind: fmean(values) for kind, values in seconds.items()}
    other = fmean(means.values())
    left = datetime.timedelta(seconds=round(sum(means.get(kind, other) for kind in todo)))
    return f", about {left} left"


def run_locked(folder: Path, record: Callable[[], str], *, saved: str) -> int:
    """Let `record` append rows to the tables of `folder`, which no other bench does meanwhile, and return a
    page, and print that; an exit status. `saved` says after an interrupt what is kept."""
    store.check_writable(folder)
    with locked(folder):
        try:
            page = record()
        except store.ResultsError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"\nInterrupted. {saved}")
            return 130
    print(f"\n{page}")
    return 0


def append_and_print(session: Session, rows: Iterable[SpeedRow]) -> None:
    """Append rows of speed.csv one by one as they are measured, and print each."""
    for measurement in rows:
        session.append("speed.csv", [measurement])
        about = f"{measurement.measure:22} {measurement.model:20} {measurement.framework:11}"
        value = f"{measurement.value:10.4g} {measurement.unit}"
        print(f"{about} {measurement.arm[-40:]:40} {value}", flush=True)


def row(**columns: object) -> SpeedRow:
    """A row of speed.csv made by this machine and commit; Session.append fills in the session."""
    default = {"sitting": "", "device": "cpu", "threads": cores(), "framework_version": ""}
    here = {"machine": machine.name(), "python": machine.python(), "commit": machine.commit(ROOT)}
    return SpeedRow(**(default | here | columns))  # type: ignore[arg-type]


def train(session: Session, framework: str, model: str, *words: str) -> dict[str, str]:
    """The row of a training run, which is also appended to the session's results.csv."""
    with tempfile.TemporaryDirectory() as name:  # as other runs may append to the session's
        folder = Path(name)
        try:
            run_script(session.command(framework, model, *words, "--results", str(folder)))
        finally:
            store.merge(session.folder, store.complete_tables(folder))
        return store.rows(folder, "results.csv")[-1]


def run_json(command: Sequence[str]) -> dict[str, Any]:
    """The JSON that a script writes into the file that its last flag names."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "written.json")
        run_script([*command, str(file)])
        written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return written


def run_script(command: Sequence[str]) -> None:
    """Run a script to its end. Raises ResultsError with the line of its error if it fails."""
    with ends_with_parent() as child:
        process = subprocess.run(command, capture_output=True, text=True, check=False, **child)
    if process.returncode:
        reason = error_line(process.stderr or process.stdout)
        raise store.ResultsError(f"{' '.join(command[1:])} failed: {reason}")
