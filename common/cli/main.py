"""The command line both scripts share: `parse_arguments` before the framework is imported, `main` after it.

Bad input is one sentence on stderr and exit status 2.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from common.checked import RecipeError
from common.cli import ends, outcome
from common.cli.framework_defaults import read_defaults
from common.cli.invocation import Invocation, Startup, parse
from common.cli.parent_watch import watch_parent
from common.cli.paths import OutputError, write_json
from common.cli.predict_server import serve
from common.cli.profile import profile
from common.cli.requested_job import on_requested_data, requested_job
from common.cli.seeds import summary_line
from common.cli.threads import limit_spinning
from common.cli.trace import trace
from common.data.datasets import DataError, Dataset
from common.data.source import load
from common.frameworks import FRAMEWORKS, ROOT
from common.model.entry import describe
from common.model.spec import summary
from common.model.zoo import ENTRIES
from common.tables import contention, machine, store
from common.tables.concurrent_runs import ConcurrentRuns
from common.tables.schema import Run
from common.training import checkpoint, mistaken, numerics
from common.training.backend import Backend, PeerLost, Unavailable
from common.training.job import Job
from common.training.run import execute

T = TypeVar("T")

REPORTED = (
    *(DataError, RecipeError, checkpoint.CheckpointError, store.ResultsError, OutputError),
    *(PeerLost, Unavailable),
)
"""Errors whose message is a line for the person at the terminal."""


def parse_arguments(framework: str, words: list[str] | None = None) -> Invocation:
    """Parse and check the command line; in a script, which passes no `words`, also start to read the data.

    Prints the answer to --help and --list, or what is wrong with the command line, and exits.
    """
    if words is None:
        ends.start(FRAMEWORKS[framework].script)
    invocation = parse(framework, words)
    if invocation.list:
        print("\n".join(map(describe, ENTRIES)))
        sys.exit(ends.final_status(0))
    if words is not None:
        return invocation
    watch_parent()
    if invocation.loader != "native":  # users of a native loader train without this setting
        limit_spinning(FRAMEWORKS[framework], os.environ)
    return dataclasses.replace(invocation, startup=_startup(invocation))


def _startup(invocation: Invocation) -> Startup:
    # The data set of a resumed run is named in its checkpoint, and some modes need none.
    if invocation.resume or invocation.mode in ("defaults", "serve"):
        reading = None
    else:
        # On a thread: the import of a framework leaves it most of a core.
        name = invocation.dataset or "mnist"
        reading = _meanwhile(partial(load, name, data_dir=invocation.data_dir, log=_show))
    return Startup(
        load=machine.load(),
        usage=contention.Usage.now(),
        concurrent_runs=ConcurrentRuns() if invocation.world.rank == 0 else None,
        dataset=reading,
    )


def _meanwhile(call: Callable[[], T]) -> Future[T]:
    """The outcome of `call` on a thread that the process does not wait for when it ends, as it would for
    one of a ThreadPoolExecutor: a download may take minutes."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def main(backend: type[Backend], invocation: Invocation) -> NoReturn:
    """Execute the command line with `backend`, and exit: 0, 1 diverged, 2 bad input, 130 interrupted (143 by
    SIGTERM, with which a launcher ends the other processes when one has died, 129 by SIGHUP)."""
    ends.catch_signals(once=True)
    try:
        sys.exit(ends.final_status(_main(backend, invocation)))
    except REPORTED as error:
        print(f"{FRAMEWORKS[backend.name].script}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(ends.interrupted())


def _main(backend: type[Backend], invocation: Invocation) -> int:
    """Execute the command line; return the exit status."""
    if invocation.defaults:
        return _print_defaults(backend(accelerate=False, threads=1), invocation.defaults)
    if invocation.serve:
        serve(backend(accelerate=False, threads=1), invocation.serve, sys.stdin, sys.stdout)
        return 0
    clock = machine.Clock.of_process(load=invocation.startup.load)
    job = requested_job(invocation)
    job, dataset = on_requested_data(invocation, job, log=_show)
    if job.results:
        store.check_writable(job.results)
        if job.save_model and job.last_epoch:
            checkpoint.check_writable(job.save_model)
            checkpoint.check_writable(job.last_epoch)
            if job.last_epoch.exists() and not job.resumes_last_epoch and invocation.world.rank == 0:
                print(
                    f"{job.last_epoch} is of an interrupted run; --resume continues it, this run replaces it."
                )
    if job.execution.loader is None:  # users of a native loader train without this setting
        machine.keep_freed_pages()
    framework = backend(accelerate=not invocation.no_accel, threads=invocation.threads)
    if invocation.world.rank == 0:
        each = f" in each of {invocation.world.size} processes" if invocation.world.size > 1 else ""
        print(
            f"{framework.name} {framework.version} on {framework.device}, {framework.threads} threads{each}"
        )
        print(summary(job.spec))
        _warn_of_contention(invocation.startup, framework.threads)
    if invocation.profile:
        return _profile(framework, dataset, job, invocation.profile, whole=invocation.epochs is not None)
    if invocation.trace:
        return _trace(framework, dataset, job, invocation.trace, whole=invocation.epochs is not None)
    if invocation.mistakes:
        return _mistakes(framework, dataset, job, invocation.mistakes)
    return _run_seeds(framework, dataset, job, invocation, clock)


def _warn_of_contention(startup: Startup, threads: int) -> None:
    """Print a warning if other processes used cores of this run while the framework was imported."""
    now = contention.Usage.now()
    if startup.usage and now and (warning := contention.warning(startup.usage, now, threads=threads)):
        _show(warning)


def _run_seeds(
    framework: Backend, dataset: Dataset, job: Job, invocation: Invocation, clock: machine.Clock
) -> int:
    """Execute `job` once for each seed, the first run from `clock` on; return the exit status."""
    statuses = set()
    rows: list[Run] = []
    for seed in range(job.seed, job.seed + invocation.seeds):
        status = execute(
            framework,
            dataset,
            dataclasses.replace(job, seed=seed),
            show=_show if invocation.seeds == 1 else partial(_show_of_seed, seed),
            clock=clock,
            concurrent_runs=invocation.startup.concurrent_runs,
            recorded=rows.append,
        )
        if status == "interrupted":
            return ends.interrupted_status()
        statuses.add(status)
        clock = machine.Clock.now()
    if invocation.seeds == 1 and rows:
        for line in outcome.lines(rows[0], ROOT / "results", results=invocation.results):
            _show(line)
    if invocation.seeds > 1 and rows:
        accuracies = [row.accuracy for row in rows if row.status == "ok" and row.accuracy is not None]
        _show(summary_line(accuracies, seeds=invocation.seeds))
    return 1 if "diverged" in statuses else 0


def _print_defaults(backend: Backend, file: Path) -> int:
    """Print the framework's own defaults and write them to `file`."""
    defaults = read_defaults(backend.defaults)
    print(f"{backend.name} {backend.defaults.versions}")
    width = max(map(len, defaults))
    for item, value in defaults.items():
        _show(f"{item:{width}}  {value}")
    write_json(file, {"framework_version": backend.defaults.versions, "defaults": defaults})
    return 0


def _trace(framework: Backend, dataset: Dataset, job: Job, file: Path, *, whole: bool) -> int:
    """Write the losses of the first steps, or of the whole first epoch with its accuracy, to `file`."""
    result = trace(framework, dataset, job, whole=whole)
    if job.execution.world.rank == 0:
        values = {"losses": result.losses.tolist(), "accuracy": result.accuracy}
        write_json(file, {**values, "framework_version": framework.version})
    return 0


def _mistakes(framework: Backend, dataset: Dataset, job: Job, file: Path) -> int:
    """Print the end of each run with a planted mistake, and write all of them to `file`."""
    ended = []
    for end in mistaken.outcomes(framework, dataset, job):
        ended.append(dataclasses.asdict(end))
        difference = "not finite" if end.difference is None else f"{end.difference:.2g}"
        check = f"forward difference {difference}, floor {end.floor:.2g}"
        _show(f"{end.mistake:20}  {end.accuracy:6.2f} %  {end.status}, {check}")
    origin = _origin(framework) | {
        "numerics": numerics.number(framework.numerics, job.spec, job.recipe.optimizer),
        "recipe_hash": job.recipe_hash(framework.name),
    }
    write_json(file, {**origin, "outcomes": ended})
    return 0


def _profile(framework: Backend, dataset: Dataset, job: Job, file: Path, *, whole: bool) -> int:
    """Print each measurement of a network as it ends, and write all of them to `file`."""
    measurements = []
    for measurement in profile(framework, dataset, job, whole=whole):
        measurements.append(dataclasses.asdict(measurement))
        low, high = measurement.low, measurement.high
        spread = "" if low == high else f"  ({low:.4g} to {high:.4g})"
        value = f"{measurement.value:10.4g} {measurement.unit}{spread}"
        _show(f"{measurement.measure:12}  {measurement.arm:40}  {value}")
    write_json(file, {**_origin(framework), "measurements": measurements})
    return 0


def _origin(framework: Backend) -> dict[str, object]:
    """Origin of a measurement, by the names of the tables' columns."""
    return {
        "device": framework.device,
        "threads": framework.threads,
        "framework_version": framework.version,
    }


def _show(line: str) -> None:
    print(line, flush=True)  # at once, also into a file or a pipe


def _show_of_seed(seed: int, line: str) -> None:
    _show(f"seed {seed}: {line}")
