"""Runs to be made: which of network x framework x seed the tables lack, and one of them made, in a process of
its own that dies with this one."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from common.analysis import ablation, pooling
from common.cli.arguments import BY_FLAG
from common.data.datasets import validated
from common.frameworks import FRAMEWORKS, ROOT
from common.model.entry import Entry
from common.model.overrides import with_overrides
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.tables import machine, schema, store

MAX_ATTEMPTS = 2  # of a cell that fails
_PR_SET_PDEATHSIG = 1  # of Linux' sys/prctl.h


@dataclass(frozen=True)
class Task:
    """One run to be made; on an accelerator where it is `accelerated`."""

    model: str
    framework: str
    seed: int
    variant: str = ablation.NONE  # what is left to the framework's own defaults
    accelerated: bool = False
    vary: tuple[str, ...] = ()  # changes of the recipe, as `common.recipe.varied` reads them
    validation: int = 0  # training images held out to test on

    def __str__(self) -> str:
        native = [] if self.variant == ablation.NONE else [f"native {self.variant}"]
        return " ".join([self.model, self.framework, f"seed {self.seed}", *native, *self.vary])

    @property
    def entry(self) -> Entry:
        """The network with the recipe that it is to have. Raises RecipeError."""
        entry = ZOO[self.model]
        return dataclasses.replace(entry, recipe=with_overrides(entry.recipe, self.vary))

    @property
    def dataset(self) -> str:
        """As the tables name it."""
        return validated("mnist", self.validation)

    def command(self, folder: Path, data_dir: Path | None = None, *, threads: int | None = None) -> list[str]:
        """The command line that makes the run."""
        words = [*FRAMEWORKS[self.framework].command, "--model", self.model, "--seed", str(self.seed)]
        words += ["--results", str(folder)]
        words += [] if self.accelerated else ["--no-accel"]
        words += ["--data-dir", str(data_dir)] if data_dir else []
        words += ["--threads", str(threads)] if threads else []
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
    """How a cell ended: the script's exit status, the tables it wrote, whole and by name, the last lines that
    it printed, the machine it ran on, and seconds."""

    status: int
    tables: dict[str, bytes]
    told: str
    machine: str
    seconds: float

    @property
    def row(self) -> dict[str, str]:
        """The run's row in results.csv, as text by column."""
        return store.parse("results.csv", self.tables["results.csv"])[-1]


@dataclass(frozen=True)
class Finished:
    """A cell that has ended: with an outcome, or without one and `lost` says why."""

    task: Task
    outcome: Outcome | None
    lost: str = ""

    @property
    def finished(self) -> bool:
        """Whether there is a row that another try would only repeat."""
        return self.outcome is not None and self.outcome.status in (0, 1) and bool(self.outcome.tables)

    @property
    def reason(self) -> str:
        """Why it is not finished."""
        if self.outcome is None:
            return self.lost
        last = self.outcome.told.splitlines()[-1:] or ["it said nothing"]
        return f"exit status {self.outcome.status}: {last[0]}"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a cell ran; `outcome` has what it left."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def tasks_of(
    models: Sequence[str],
    frameworks: Sequence[str],
    seeds: Sequence[int],
    rungs: Sequence[str] = (ablation.NONE,),
    *,
    variations: Sequence[Sequence[str]] = ((),),
    validation: int = 0,
    accelerated: bool = False,
) -> list[Task]:
    """All cells, in the order they are run."""
    return [
        Task(model, framework, seed, rung, accelerated, tuple(vary), validation)
        for seed, model, vary, rung, framework in product(seeds, models, variations, rungs, frameworks)
    ]


def missing(
    wanted: Sequence[Task], rows: Sequence[dict[str, str]], *, machine: str | None = None
) -> list[Task]:
    """Those of `wanted` without a finished row: ok, or diverged, which it would be again.

    Only rows of a cell's own recipe count, in float32, on the images it is to be tested on, and of `machine`
    alone if it is named.
    """
    here = [row for row in rows if not machine or row["machine"] == machine]
    present = finished(here)
    return [cell for cell in wanted if key(cell) not in present]


def finished(rows: Sequence[dict[str, str]]) -> dict[tuple[object, ...], list[dict[str, str]]]:
    """The rows that another try would only repeat, by the `key` of the cell they fill."""
    columns = ("model", "framework", "seed", "native", "recipe_hash", "dataset")
    found: dict[tuple[object, ...], list[dict[str, str]]] = {}
    for row in rows:
        plain = row["precision"] == "float32" and row["loader"] == "memory"
        if plain and row["status"] in ("ok", "diverged"):
            named = *(row[name] for name in columns), row["device"] != "cpu"
            found.setdefault(named, []).append(row)
    return found


def key(cell: Task) -> tuple[object, ...]:
    """What the rows that fill a cell have in common."""
    entry = cell.entry
    hashed = recipe_hash(entry.spec, entry.recipe)
    named = cell.model, cell.framework, str(cell.seed), ablation.native_column(cell.variant)
    return *named, hashed, cell.dataset, cell.accelerated


def seconds_left(todo: Sequence[Task], rows: Sequence[dict[str, str]]) -> float | None:
    """Expected seconds of `todo`: each of a cell's epochs as long as those of the recorded runs most like it;
    None without any."""
    timed = [row for row in rows if row["status"] == "ok" and row["total_seconds"] and row["epochs"] != "0"]
    if not timed:
        return None

    def expected(cell: Task) -> float:
        same_model = [row for row in timed if row["model"] == cell.model]
        same = [row for row in same_model if row["framework"] == cell.framework]
        epoch = fmean(float(row["total_seconds"]) / int(row["epochs"]) for row in same or same_model or timed)
        return epoch * cell.entry.recipe.epochs

    return sum(map(expected, todo))


def run_task(
    cell: Task, *, data_dir: Path | None = None, threads: int | None = None, log: Path | None = None
) -> Outcome:
    """Run `cell`, in a results folder of its own; what it prints is appended to `log` if there is one.

    On Ctrl-C the run is interrupted, which its row says, and Interrupted is raised with the outcome.
    """
    with tempfile.TemporaryDirectory(prefix="template-ml-") as name:
        folder = Path(name)
        log = log or folder / "log"
        clock = machine.Clock.now()
        with log.open("ab") as output:
            before = output.tell()
            # Its own session: Ctrl-C comes to it once, from here, and not also from the terminal.
            process = subprocess.Popen(
                cell.command(folder, data_dir=data_dir, threads=threads),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dies_with_parent(),
            )
            try:
                process.wait()
                interrupted = False
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                interrupted = True
        outcome = Outcome(
            status=process.returncode,
            tables=store.complete_tables(folder),
            told="\n".join(log.read_bytes()[before:].decode(errors="replace").splitlines()[-20:]),
            machine=machine.name(),
            seconds=clock.wall_seconds(),
        )
    if interrupted:
        raise Interrupted(outcome)
    return outcome


def run_sequentially(
    todo: Sequence[Task], *, data_dir: Path | None, threads: int | None, log: Path
) -> Generator[Finished]:
    """Every cell as it ends, made on this machine. One that failed was tried again first."""
    for cell in todo:
        for trial in range(1, MAX_ATTEMPTS + 1):
            done = Finished(cell, run_task(cell, data_dir=data_dir, threads=threads, log=log))
            if done.finished or trial == MAX_ATTEMPTS:
                yield done
                break


def failed_row(cell: Task, reason: str, *, place: str) -> schema.Run:
    """The row of a cell that could not be made on the machine `place`, with what is known of it."""
    entry = cell.entry
    columns: dict[str, Any] = {field.name: None for field in dataclasses.fields(schema.Run)}
    columns |= pooling.default_settings(entry) | {
        "native": ablation.native_column(cell.variant),
        "dataset": cell.dataset,
    }
    columns |= {
        "framework": cell.framework,
        "parameters": entry.spec.parameters,
        "seed": cell.seed,
        "device": "cpu",
        "threads": 0,
        "world_size": 1,
        "machine": place,
        "python": machine.python(),
        "commit": machine.commit(ROOT),
        "status": "failed",
        "started": machine.now(),
        "run": secrets.token_hex(6),
        "reason": " ".join(reason.split())[-300:],
    }
    return schema.Run(**columns)


def _dies_with_parent() -> Callable[[], None] | None:
    """What a child does first so that it is killed when the thread that started it ends, however it ends.

    A bench that was killed must not leave a run behind that the next one makes as well. Linux alone can.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()  # loaded here: a fork must not wait for a lock

    def first() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    return first
