"""`python -m common.bench`: run the cells of network x framework x seed that the tables do not hold yet.

Each cell is one fresh process of one framework. Seeds are the outer loop and frameworks the inner one, so a
machine that slows down slows both. A bench that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from filelock import FileLock, Timeout

from common.analysis import aa, ablation, frames, rounding
from common.bench import cluster, measure, scaling, sweep, tasks
from common.bench.tasks import Finished, Task
from common.cli.arguments import number
from common.data.datasets import TRAINING_IMAGES
from common.frameworks import FRAMEWORKS
from common.model.overrides import with_overrides
from common.model.recipe import RecipeError
from common.model.zoo import ZOO
from common.report import benchmarks, timings
from common.report.scaling import page as scaling_page
from common.tables import machine, store
from common.tables.schema import SpeedRow

SEEDS, LADDER_SEEDS = 3, 5
TRACES = ("steps", "epoch")


def main(words: list[str] | None = None) -> int:
    """Run what is missing; 0 if every cell has its row at the end, 1 if not, 130 on Ctrl-C."""
    # A shell ignores SIGINT for what it starts in the background; a bench is to be stopped by it there too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.ladder and (arguments.cluster or arguments.workers):
        parser.error("--ladder compares times: its runs are made one after another, on this machine.")
    if arguments.ladder and (arguments.vary or arguments.validation):
        parser.error("--ladder is of the zoo's own recipe: not with --vary, --validation.")
    try:
        for model, vary in product(arguments.models, arguments.vary or []):
            with_overrides(ZOO[model].recipe, vary)
    except RecipeError as error:
        parser.error(str(error))
    try:
        store.check_writable(arguments.results)
        if arguments.dry_run:
            print("\n".join(map(str, _missing(arguments))))
            return 0
        # Two of them would make the same cells, and disturb each other's times.
        with FileLock(arguments.results / ".bench.lock", blocking=False):
            return _work(arguments)
    except store.ResultsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except Timeout:
        print(f"bench: another bench is at work on {arguments.results}.", file=sys.stderr)
        return 2


def _work(arguments: argparse.Namespace) -> int:
    """Measure what is asked for, or make the missing cells; an exit status."""
    if arguments.speed is not None:
        return _measure(arguments, partial(_sit, arguments.speed))
    if arguments.traces is not None:
        return _measure(arguments, partial(_trace, arguments.traces or TRACES, arguments.seeds or SEEDS))
    if arguments.aa:
        return _measure(arguments, _again)
    if arguments.defaults:
        return _measure(arguments, _ask)
    if arguments.scale:
        return _measure(arguments, _scale)
    status = _run_all(_missing(arguments), arguments)
    if arguments.vary or arguments.validation:
        print(sweep.table(_wanted(arguments), store.rows(arguments.results, "results.csv")))
    return status


def _missing(arguments: argparse.Namespace) -> list[Task]:
    """The cells to run, of those that are asked for; says how many."""
    wanted = _wanted(arguments)
    rows = store.rows(arguments.results, "results.csv")
    # A ladder's runs are all of one machine, other cells may be of any.
    todo = tasks.missing(wanted, rows, machine=machine.name() if arguments.ladder else None)
    print(f"{len(wanted)} cells, {len(wanted) - len(todo)} in the tables already, {len(todo)} to run.")
    return todo


def _wanted(arguments: argparse.Namespace) -> list[Task]:
    count = arguments.seeds or (SEEDS if arguments.ladder is None else LADDER_SEEDS)
    seeds = range(arguments.first_seed, arguments.first_seed + count)
    if arguments.ladder is None:
        return tasks.tasks_of(
            arguments.models,
            arguments.frameworks,
            seeds,
            variations=arguments.vary or [()],
            validation=arguments.validation,
            accelerated=arguments.accelerated,
        )
    spec = ZOO[arguments.ladder].spec
    for sentence in ablation.inapplicable_parts(spec).values():
        print(sentence)
    return tasks.tasks_of([arguments.ladder], arguments.frameworks, seeds, ablation.variants(spec))


def _measure(arguments: argparse.Namespace, record: Callable[[measure.Session, str], str]) -> int:
    """Let `record` write rows of a new sitting as they come, and show the page that it returns."""
    begun = machine.now()
    sitting = measure.Session(
        folder=arguments.results,
        data_dir=arguments.data_dir,
        models=arguments.models,
        frameworks=arguments.frameworks,
    )
    try:
        page = record(sitting, begun)
    except store.ResultsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; what is shown above is kept. Name what is missing to go on.")
        return 130
    print(f"\n{page}")
    return 0


def _sit(parts: Sequence[str], sitting: measure.Session, begun: str) -> str:
    """Times of the chosen parts; their tables."""
    for part in parts or measure.PARTS:
        _keep(measure.PARTS[part](sitting), sitting, begun)
    found = frames.frame("speed.csv", store.rows(sitting.folder, "speed.csv"))
    return timings.section(found[found["sitting"] == begun])


def _keep(rows: Iterable[SpeedRow], sitting: measure.Session, begun: str) -> None:
    """Write timings as they come, and show them."""
    for row in rows:
        store.append_rows(sitting.folder, "speed.csv", [dataclasses.replace(row, sitting=begun)])
        name = f"{row.measure:22} {row.model:20} {row.framework:11} {row.arm[-40:]:40}"
        print(f"{name} {row.value:10.4g} {row.unit}", flush=True)


def _again(sitting: measure.Session, begun: str) -> str:
    """Each network in both frameworks and against itself; what the ratios come to."""
    for model in sitting.models:
        rows = [dataclasses.replace(row, sitting=begun) for row in measure.aa_runs(sitting, model)]
        store.append_rows(sitting.folder, "speed.csv", rows)
        print(f"{model}: {len(rows)} figures", flush=True)
    found = frames.frame("speed.csv", store.rows(sitting.folder, "speed.csv"))
    return aa.table(found[found["sitting"] == begun])


def _trace(kinds: Sequence[str], seeds: int, sitting: measure.Session, begun: str) -> str:
    """Each network's first steps in both frameworks, in every arm of chaos.ARMS, and first epochs in those in
    single precision; how they compare."""
    for model in sitting.models:
        arms = (
            [measure.take_traces(sitting, model, *arm) for arm in rounding.ARMS] if "steps" in kinds else []
        )
        for seed in range(1, seeds + 1) if "epoch" in kinds else ():
            arms += [
                measure.take_traces(sitting, model, *arm, epoch_of_seed=seed) for arm in rounding.ARMS[1:]
            ]
        rows = [dataclasses.replace(row, sitting=begun) for arm in arms for row in arm]
        store.append_rows(sitting.folder, "traces.csv", rows)
        print(f"{model}: {len(rows)} losses", flush=True)
    return rounding.section(frames.frame("traces.csv", store.rows(sitting.folder, "traces.csv")))


def _ask(sitting: measure.Session, begun: str) -> str:
    """The frameworks' own defaults, side by side."""
    for framework in sitting.frameworks:
        rows = [dataclasses.replace(row, sitting=begun) for row in measure.read_defaults(framework)]
        store.append_rows(sitting.folder, "defaults.csv", rows)
    return benchmarks.side_by_side(frames.frame("defaults.csv", store.rows(sitting.folder, "defaults.csv")))


def _scale(sitting: measure.Session, begun: str) -> str:
    """What the same cells take with one worker and with two; the page that tells it."""
    _keep(scaling.measured(sitting), sitting, begun)
    return scaling_page(frames.read(sitting.folder))


def _run_all(todo: Sequence[Task], arguments: argparse.Namespace) -> int:
    """Make the cells here, or on a cluster; an exit status."""
    log = arguments.results / "bench.log"
    if arguments.cluster is None and arguments.workers is None:
        made = tasks.run_sequentially(todo, data_dir=arguments.data_dir, threads=arguments.threads, log=log)
        return _recorded(made, todo, arguments.results, slots=lambda: 1)
    workers = arguments.workers or 0
    threads = arguments.threads or (machine.cores_each(workers) if workers else None)
    try:
        with cluster.connected(arguments.cluster, workers=workers) as client:
            print(f"Dask's dashboard is at {client.dashboard_link}")
            if not cluster.slots(client):
                print(f"No worker there has a slot yet: dask worker ADDRESS --resources {cluster.SLOT}=1")
            made = cluster.run_on_cluster(client, todo, data_dir=arguments.data_dir, threads=threads)
            return _recorded(_logged(made, log), todo, arguments.results, slots=lambda: cluster.slots(client))
    except cluster.ClusterError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def _logged(made: Generator[Finished], log: Path) -> Generator[Finished]:
    """The last lines that cells printed elsewhere, into the log."""
    with contextlib.closing(made), log.open("a") as file:
        for done in made:
            print(f"{done.task}\n{done.outcome.told if done.outcome else done.lost}", file=file, flush=True)
            yield done


def _recorded(
    made: Generator[Finished], todo: Sequence[Task], folder: Path, *, slots: Callable[[], int]
) -> int:
    """Write the rows of every cell as it ends, and say so; an exit status. `slots` is of cells at once."""
    left, lost = list(todo), 0
    try:
        with contextlib.closing(made):
            _tell(left, folder, done=0, lost=0, slots=slots())
            for done in made:
                left.remove(done.task)
                lost += not done.finished
                _record(done, folder)
                _tell(left, folder, done=len(todo) - len(left) - lost, lost=lost, slots=slots())
    except KeyboardInterrupt as stop:
        if isinstance(stop, tasks.Interrupted):
            store.merge(folder, stop.outcome.tables)
        print(f"\nInterrupted; run it again to go on. {len(left)} cells are missing.")
        return 130
    except store.ResultsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if lost:
        print(f"{lost} cells failed: see {folder / 'bench.log'}.", file=sys.stderr)
    return 1 if lost else 0


def _record(done: Finished, folder: Path) -> None:
    """Append the rows of a cell, or the one that says why there are none."""
    outcome = done.outcome
    if outcome and done.finished:
        store.merge(folder, outcome.tables)
        accuracy = outcome.row["accuracy"]
        print(
            f"{done.task}: {outcome.seconds:.0f} s, {f'{accuracy} %' if accuracy else outcome.row['status']}"
        )
        return
    store.append(folder, tasks.failed_row(done.task, done.reason, place=outcome.machine if outcome else ""))
    print(f"{done.task} failed: {done.reason}")


def _tell(left: Sequence[Task], folder: Path, *, done: int, lost: int, slots: int) -> None:
    """How far it is, and how long what is left takes by the recorded runs."""
    if not left:
        return
    running = min(slots, len(left))
    named = f" ({left[0]})" if slots == 1 else ""
    words = [f"{done} done, {running} running{named}, {lost} failed, {len(left) - running} to come"]
    seconds = tasks.seconds_left(left, store.rows(folder, "results.csv"))
    if seconds:
        words.append(f"about {datetime.timedelta(seconds=round(seconds / max(slots, 1)))} left")
    print(", ".join(words), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m common.bench",
        description=__doc__,
        allow_abbrev=False,  # --seed N, which the scripts have, is not --seeds N
    )
    parser.add_argument("--models", nargs="+", choices=tuple(ZOO), default=tuple(ZOO), metavar="NAME")
    parser.add_argument("--frameworks", nargs="+", choices=tuple(FRAMEWORKS), default=tuple(FRAMEWORKS))
    parser.add_argument(
        "--seeds",
        type=number(int, 1),
        metavar="N",
        help=f"(default: {SEEDS}, of a ladder {LADDER_SEEDS})",
    )
    parser.add_argument(
        "--first-seed", type=number(int, 1), default=1, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--vary",
        nargs="+",
        action="append",
        metavar="FIELD=VALUE",
        help="change the networks' recipes; given several times: try each of the changes",
    )
    parser.add_argument(
        "--validation",
        type=number(int, 0, TRAINING_IMAGES - 1),
        default=0,
        metavar="N",
        help="hold out the last N training images and test on them instead of the test set",
    )
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument(
        "--speed",
        nargs="*",
        choices=tuple(measure.PARTS),
        metavar="PART",
        help=f"measure speed instead, all of it or parts: {', '.join(measure.PARTS)}",
    )
    parser.add_argument(
        "--ladder",
        choices=tuple(ZOO),
        metavar="MODEL",
        help="run a network matched, with one part after the other left to each framework's own defaults, "
        "and with all of them",
    )
    parser.add_argument(
        "--traces",
        nargs="*",
        choices=TRACES,
        metavar="KIND",
        help="record the losses of first steps instead, in double and single precision and from a start one "
        "unit in the last place away, and accuracies after an epoch over seeds, or one of them: "
        f"{', '.join(TRACES)}",
    )
    parser.add_argument(
        "--aa",
        action="store_true",
        help="measure the speed of an epoch in both frameworks instead, and of each against itself: where "
        "that differs the clock is not to be trusted with a ratio",
    )
    parser.add_argument(
        "--defaults", action="store_true", help="record instead what each installed framework does by default"
    )
    parser.add_argument(
        "--threads",
        type=number(int, 1),
        metavar="N",
        help="of each run (default: all cores of its machine, with --workers its share of them)",
    )
    elsewhere = parser.add_mutually_exclusive_group()
    elsewhere.add_argument(
        "--cluster", metavar="ADDRESS", help="hand the cells to the Dask scheduler there, tcp://HOST:8786"
    )
    elsewhere.add_argument(
        "--workers",
        type=number(int, 1),
        metavar="N",
        help="make N cells at once on this machine, by Dask, its cores shared out; their times tell little",
    )
    parser.add_argument(
        "--accelerated",
        action="store_true",
        help="make the cells on an accelerator, by workers that have the resource GPU",
    )
    parser.add_argument(
        "--scale",
        action="store_true",
        help="measure instead what short cells take with one worker and with two",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what is missing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
