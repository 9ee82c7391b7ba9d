"""Tasks: runs of network x framework x seed. Which of them the tables lack, and one of them run in a new
process that ends with this one."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from common.analysis import ablation, pooling
from common.bench.reason import error_line
from common.bench.requested_data import MNIST, Data
from common.cli.arguments import BY_FLAG
from common.cli.parent_watch import ends_with_parent
from common.data.datasets import validated
from common.frameworks import FRAMEWORKS, ROOT
from common.model.entry import Entry
from common.model.overrides import with_overrides
from common.model.own_network import absolute, entry_of
from common.model.recipe import recipe_hash
from common.tables import machine, schema, store

MAX_ATTEMPTS = 2  # of a task that fails
LAST_LINES = 20
POLL_SECONDS = 0.1
NOWHERE: Mapping[str, str] = {}
"""No values that rows must have."""


@dataclass(frozen=True)
class Task:
    """One run: a network in a framework with a seed, and what differs from its own recipe.

    `model` is a name in the zoo or the address of a file, FILE.py[:NAME].
    """

    model: str
    framework: str
    seed: int
    variant: str = ablation.NONE  # the part left to the framework's own defaults
    accelerated: bool = False  # on an accelerator
    vary: tuple[str, ...] = ()  # changes of the recipe, as `with_overrides` reads them
    validation: int = 0  # training images held out to test on
    data: Data = MNIST

    def __str__(self) -> str:
        data = [] if self.data == MNIST else [self.data.name]
        native = [] if self.variant == ablation.NONE else [f"native {self.variant}"]
        return " ".join([self.name, self.framework, f"seed {self.seed}", *data, *native, *self.vary])

    @property
    def name(self) -> str:
        """The network's name in the tables."""
        return entry_of(self.model).name

    @property
    def entry(self) -> Entry:
        """The network with its changed recipe. Raises RecipeError for a change that the recipe does not
        allow."""
        entry = entry_of(self.model)
        return dataclasses.replace(entry, recipe=with_overrides(entry.recipe, self.vary))

    @property
    def dataset(self) -> str:
        """The column `dataset` of the run."""
        return validated(self.data.name, self.validation)

    def command(self, folder: Path, data_dir: Path | None = None, *, threads: int | None = None) -> list[str]:
        """The command line of the run, which writes its tables to `folder`."""
        words = [*FRAMEWORKS[self.framework].command, "--model", self.model, "--seed", str(self.seed)]
        words += ["--results", str(folder)]
        words += [] if self.accelerated else ["--no-accel"]
        words += ["--data-dir", str(data_dir)] if data_dir else []
        words += ["--threads", str(threads)] if threads else []
        words += ["--dataset", self.data.address] if self.data != MNIST else []
        words += ["--validation", str(self.validation)] if self.validation else []
        rest = []
        for name, _, value in (change.partition("=") for change in self.vary):
            if name in BY_FLAG:
                words += [BY_FLAG[name], value]
            else:
                rest.append(f"{name}={value}")
        words += ["--vary", *rest] if rest else []
        return words + ([] if self.variant == ablation.NONE else ["--native", self.variant])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """End of a task's process: its exit status, the complete rows of each table that it wrote, the last
    lines that it printed, the machine it ran on, and its seconds."""

    status: int
    tables: dict[str, bytes]
    last_lines: str
    machine: str
    seconds: float

    @property
    def row(self) -> dict[str, str]:
        """The run's row in results.csv, as text by column."""
        return store.parse(Path("results.csv"), self.tables["results.csv"])[-1]


@dataclass(frozen=True)
class Finished:
    """A task that has ended: with an outcome, or without one, and `failure` is the reason."""

    task: Task
    outcome: Outcome | None
    failure: str = ""

    @property
    def completed(self) -> bool:
        """Whether the run has a row that another attempt would repeat."""
        return self.outcome is not None and self.outcome.status in (0, 1) and bool(self.outcome.tables)

    @property
    def reason(self) -> str:
        """Why the task is not completed."""
        if self.outcome is None:
            return self.failure
        return f"exit status {self.outcome.status}: {error_line(self.outcome.last_lines)}"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while tasks ran; `outcomes` have the rows of the interrupted runs."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


def tasks_of(
    models: Sequence[str],
    frameworks: Sequence[str],
    seeds: Sequence[int],
    variants: Sequence[str] = (ablation.NONE,),
    *,
    overrides: Sequence[Sequence[str]] = ((),),
    validation: int = 0,
    accelerated: bool = False,
    data: Data = MNIST,
) -> list[Task]:
    """All tasks, in the order in which they run, each once.

    The last framework goes first with even seeds, so that no framework always follows the other.
    """
    frameworks = list(dict.fromkeys(frameworks))
    # The first of those that share their rows: `lr=0.1` and `lr=0.10`, or a network under two addresses.
    networks: dict[tuple[object, ...], tuple[str, tuple[str, ...]]] = {}
    for model, vary in product(map(absolute, models), map(tuple, overrides)):
        networks.setdefault(key(Task(model, frameworks[0], 0, vary=vary)), (model, vary))
    return [
        Task(model, framework, seed, variant, accelerated, vary, validation, data)
        for seed, (model, vary) in product(seeds, networks.values())
        for variant, framework in product(variants, frameworks[:: 1 if seed % 2 else -1])
    ]


def missing(
    wanted: Sequence[Task], rows: Sequence[dict[str, str]], *, where: Mapping[str, str] = NOWHERE
) -> list[Task]:
    """The tasks of `wanted` without a finished row: status ok, or diverged, which another attempt would
    repeat.

    Only rows of a task's own recipe and data set count, in float32 and one process, and only those with the
    values `where`, by column.
    """
    present = finished_rows(rows)
    return [
        task for task in wanted if not any(row.items() >= where.items() for row in present.get(key(task), []))
    ]


def finished_rows(rows: Sequence[dict[str, str]]) -> dict[tuple[object, ...], list[dict[str, str]]]:
    """The rows that another attempt would repeat, by the `key` of their task.

    Where rows of one network have different numbers of arithmetic (`numerics`), only the newest count.
    """
    columns = ("model", "framework", "seed", "native", "recipe_hash", "dataset")
    default = {"precision": "float32", "loader": "memory", "world_size": "1"}
    finished = [row for row in rows if row["status"] in ("ok", "diverged") and row.items() >= default.items()]
    newest: dict[tuple[object, ...], float] = {}
    for row in finished:
        newest[_network(row)] = max(_number(row), newest.get(_network(row), -1))
    by_key: dict[tuple[object, ...], list[dict[str, str]]] = {}
    for row in finished:
        if _number(row) == newest[_network(row)]:
            row_key = *(row[name] for name in columns), row["device"] != "cpu"
            by_key.setdefault(row_key, []).append(row)
    return by_key


def _network(row: dict[str, str]) -> tuple[object, ...]:
    return row["model"], row["framework"], row["recipe_hash"], row["device"] != "cpu"


def _number(row: dict[str, str]) -> float:
    """The number of the arithmetic; -1 in rows older than the column."""
    return float(row["numerics"] or -1)


def key(task: Task) -> tuple[object, ...]:
    """The settings that a task shares with its rows."""
    entry = task.entry
    settings = task.name, task.framework, str(task.seed), ablation.native_column(task.variant)
    return *settings, recipe_hash(entry.spec, entry.recipe), task.dataset, task.accelerated


def seconds_left(todo: Sequence[Task], rows: Sequence[dict[str, str]]) -> float | None:
    """Expected seconds of `todo`: each epoch takes the mean of the recorded runs most like the task; None
    without recorded runs."""
    # A resumed run, which has no seconds of training, did not take those of all epochs.
    timed = [row for row in rows if row["status"] == "ok" and row["train_seconds"] and row["epochs"] != "0"]
    if not timed:
        return None

    def expected(task: Task) -> float:
        same_model = [row for row in timed if row["model"] == task.name]
        same = [row for row in same_model if row["framework"] == task.framework]
        epoch = fmean(float(row["total_seconds"]) / int(row["epochs"]) for row in same or same_model or timed)
        return epoch * task.entry.recipe.epochs

    return sum(map(expected, todo))


def run_task(
    task: Task,
    *,
    data_dir: Path | None = None,
    threads: int | None = None,
    log: Path | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """The outcome of `task`, run in a results folder of its own; what it prints is appended to `log`, if
    named.

    When `stop` is set the run is interrupted and records that; Interrupted is raised with its outcome.
    """
    with tempfile.TemporaryDirectory(prefix="template-ml-") as name:
        folder = Path(name)
        log = log or folder / "log"
        clock = machine.Clock.now()
        with log.open("ab") as output, ends_with_parent() as child:
            start = output.tell()
            process = subprocess.Popen(
                task.command(folder, data_dir=data_dir, threads=threads),
                stdout=output,
                stderr=subprocess.STDOUT,
                # On POSIX Ctrl-C reaches the run once, from here, and not also from the terminal.
                start_new_session=True,
                **child,
            )
            interrupted = not _ended(process, stop)
            if interrupted and os.name == "posix":  # a Windows console sends it to every process
                process.send_signal(signal.SIGINT)
            process.wait()
        outcome = Outcome(
            status=process.returncode,
            tables=store.complete_tables(folder),
            last_lines="\n".join(
                log.read_bytes()[start:].decode(errors="replace").splitlines()[-LAST_LINES:]
            ),
            machine=machine.name(),
            seconds=clock.wall_seconds(),
        )
    if interrupted:
        raise Interrupted([outcome])
    return outcome


def _ended(process: subprocess.Popen[bytes], stop: threading.Event | None) -> bool:
    """Wait until the process ends, or until `stop` is set; whether it has ended."""
    if stop is None:
        process.wait()
    while process.poll() is None:
        if stop and stop.wait(POLL_SECONDS):
            return False
    return True


def failed_row(task: Task, reason: str, *, machine_name: str) -> schema.Run:
    """The row of a task that failed on a machine: its settings and the reason, without measurements."""
    entry = task.entry
    columns: dict[str, Any] = {field.name: None for field in dataclasses.fields(schema.Run)}
    columns |= pooling.default_settings(entry) | {
        "native": ablation.native_column(task.variant),
        "dataset": task.dataset,
        "model_file": entry.file or None,
    }
    columns |= {
        "framework": task.framework,
        "parameters": entry.spec.parameters,
        "seed": task.seed,
        "device": "accelerator" if task.accelerated else "cpu",
        "threads": 0,
        "world_size": 1,
        "machine": machine_name,
        "python": machine.python(),
        "commit": machine.commit(ROOT),
        "status": "failed",
        "started": machine.now(),
        "run": store.new_run(),
        "reason": " ".join(reason.split())[-300:],
    }
    return schema.Run(**columns)
