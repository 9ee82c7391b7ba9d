"""`bench mistakes`: train networks with each classical mistake of a port, and without, and record what it
costs.

A process trains all runs of a network, framework and seed, which are recorded together when it ends; a bench
that was interrupted goes on with the processes that the table lacks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from common.bench.arguments import add_execution, add_folders, add_frameworks, add_seeds, seeds
from common.bench.measure import Session, run_json, run_locked, time_left
from common.cli.arguments import one_of
from common.frameworks import ROOT
from common.model.zoo import ZOO
from common.tables import machine, store
from common.tables.schema import MistakeRow
from common.training import mistakes
from common.training.mistakes import MODELS, SEEDS

TABLE = "mistakes.csv"


@dataclass(frozen=True)
class Process:
    """The runs of a network in a framework with a seed."""

    framework: str
    model: str
    seed: int

    def __str__(self) -> str:
        return f"{self.model} {self.framework} seed {self.seed}"

    @property
    def runs(self) -> set[str]:
        """The mistakes, and the right runs that they are compared with."""
        entry = ZOO[self.model]
        return set(mistakes.runs(self.framework, entry.spec, entry.recipe))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench mistakes`."""
    parser.add_argument(
        "--models",
        nargs="+",
        type=one_of(ZOO, "a network of the zoo"),
        default=MODELS,
        metavar="NAME",
        help=f"networks of the zoo (default: {', '.join(MODELS)})",
    )
    add_frameworks(parser)
    add_seeds(parser, default=SEEDS)
    add_folders(parser)
    add_execution(parser)


def run(options: argparse.Namespace) -> int:
    """Run the processes that the table lacks, print the section of benchmarks.md; an exit status."""
    if options.dry_run:
        print("\n".join(map(str, missing(options))))
        return 0
    saved = "The rows of the processes that ended are saved; run it again to continue."
    return run_locked(options.results, lambda: _recorded(options), saved=saved)


def _recorded(options: argparse.Namespace) -> str:
    """The section, with the rows that the table lacked, which are recorded first."""
    _run_all(missing(options), options)
    from common.analysis import frames
    from common.report import mistake_tables

    return mistake_tables.section(frames.frame(options.results, TABLE), "plots")


def missing(options: argparse.Namespace) -> list[Process]:
    """The processes of which a run has no row; prints how many."""
    from common.analysis import frames
    from common.analysis.mistakes import recorded

    wanted = [
        Process(framework, model, seed)
        for seed, model, framework in product(
            seeds(options), dict.fromkeys(options.models), dict.fromkeys(options.frameworks)
        )
    ]
    present = recorded(frames.frame(options.results, TABLE))
    todo = [
        process
        for process in wanted
        if not process.runs <= present.get((process.framework, process.model, process.seed), {}).keys()
    ]
    print(
        f"{len(wanted)} processes, {len(wanted) - len(todo)} in the table already, {len(todo)} to run.",
        flush=True,
    )
    return todo


def _run_all(todo: Sequence[Process], options: argparse.Namespace) -> None:
    """Run each process, record its rows, and print the expected time of those that remain."""
    session = Session(
        folder=options.results, data_dir=options.data_dir, models=(), frameworks=(), started=machine.now()
    )
    seconds: dict[tuple[str, str], list[float]] = {}
    for index, process in enumerate(todo):
        left = time_left([(later.framework, later.model) for later in todo[index:]], seconds)
        coming = len(todo) - index - 1
        print(f"{index} done, {process} ({len(process.runs)} runs), {coming} to come{left}", flush=True)
        clock = time.perf_counter()
        words = ["--seed", str(process.seed)]
        words += ["--threads", str(options.threads)] if options.threads else []
        started = machine.now()
        written = run_json(session.command(process.framework, process.model, *words, "--mistakes"))
        store.append_rows(options.results, TABLE, list(rows(process, written, started)))
        seconds.setdefault((process.framework, process.model), []).append(time.perf_counter() - clock)


def rows(process: Process, written: Mapping[str, object], started: str) -> Iterator[MistakeRow]:
    """The rows of what a script wrote."""
    values = dict(written)
    outcomes = values.pop("outcomes")
    here = {"machine": machine.name(), "python": machine.python(), "commit": machine.commit(ROOT)}
    for outcome in outcomes:  # type: ignore[attr-defined]
        columns = {**vars(process), **values, **outcome, **here}
        yield MistakeRow(
            epochs=ZOO[process.model].recipe.epochs, started=started, run=store.new_run(), **columns
        )
