"""`python -m common.bench`: run the cells of network x framework x seed that the tables do not hold yet.

Each cell is one fresh process of one framework. Seeds are the outer loop and frameworks the inner one, so a
machine that slows down slows both. A bench that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import IO

from common import benchmarks, chaos, ladder, machine, pace, results, speed, stats, timings
from common.arguments import SCRIPTS, number
from common.recipe import recipe_hash
from common.zoo import ZOO

SEEDS, LADDER_SEEDS = 3, 5
TRACES = ("steps", "epoch")


@dataclass(frozen=True)
class Cell:
    """One run to be made."""

    model: str
    framework: str
    seed: int
    rung: str = ladder.MATCHED  # what is left to the framework's own defaults

    def __str__(self) -> str:
        native = "" if self.rung == ladder.MATCHED else f" native {self.rung}"
        return f"{self.model} {self.framework} seed {self.seed}{native}"

    def command(self, folder: Path, data_dir: Path | None) -> list[str]:
        """The command line that makes the run."""
        words = [*speed.script(self.framework), "--no-accel"]
        words += ["--model", self.model, "--seed", str(self.seed), "--results", str(folder)]
        words += [] if self.rung == ladder.MATCHED else ["--native", self.rung]
        return words + (["--data-dir", str(data_dir)] if data_dir else [])


def cells(
    models: Sequence[str],
    frameworks: Sequence[str],
    seeds: Sequence[int],
    rungs: Sequence[str] = (ladder.MATCHED,),
) -> list[Cell]:
    """All cells, in the order they are run."""
    order = product(seeds, models, rungs, frameworks)
    return [Cell(model, framework, seed, rung) for seed, model, rung, framework in order]


def missing(
    wanted: Sequence[Cell], rows: Sequence[dict[str, str]], *, machine: str | None = None
) -> list[Cell]:
    """Those of `wanted` without a finished row: ok, or diverged, which it would be again.

    Only rows of the zoo's own recipe count, in float32, on the real test set of MNIST, and of `machine` alone
    if it is named.
    """
    fixed = {
        "precision": "float32",
        "dataset": "mnist",
        "loader": "memory",
        "device": "cpu",
    } | ({"machine": machine} if machine else {})
    present = {
        (row["model"], row["framework"], row["seed"], row["native"], row["recipe_hash"])
        for row in rows
        if row["status"] != "interrupted" and all(row[name] == value for name, value in fixed.items())
    }

    def key(cell: Cell) -> tuple[str, ...]:
        entry = ZOO[cell.model]
        hashed = recipe_hash(entry.spec, entry.recipe)
        return cell.model, cell.framework, str(cell.seed), ladder.cell(cell.rung), hashed

    return [cell for cell in wanted if key(cell) not in present]


def seconds_left(todo: Sequence[Cell], rows: Sequence[dict[str, str]]) -> float | None:
    """Expected seconds of `todo`: each cell as long as the recorded runs most like it; None without any."""
    timed = [row for row in rows if row["status"] == "ok" and row["total_seconds"]]
    if not timed:
        return None

    def expected(cell: Cell) -> float:
        same_model = [row for row in timed if row["model"] == cell.model]
        same = [row for row in same_model if row["framework"] == cell.framework]
        return fmean(float(row["total_seconds"]) for row in same or same_model or timed)

    return sum(map(expected, todo))


def run_cell(cell: Cell, folder: Path, data_dir: Path | None, log: IO[str]) -> int:
    """Run a cell in a process of its own, its output into `log`; the exit status.

    On Ctrl-C the run is interrupted, recorded as such, and KeyboardInterrupt raised.
    """
    # Its own session: Ctrl-C comes to it once, from here, and not also from the terminal.
    process = subprocess.Popen(
        cell.command(folder, data_dir), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def main(words: list[str] | None = None) -> int:
    """Run what is missing; 0 if every cell has its row at the end, 1 if not, 130 on Ctrl-C."""
    # A shell ignores SIGINT for what it starts in the background; a bench is to be stopped by it there too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = _parser().parse_args(words)
    wanted = _wanted(arguments)
    try:
        results.prepare(arguments.results)
        rows = results.rows(arguments.results, "results.csv")
    except results.ResultsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if arguments.speed is not None:
        return _measure(arguments, partial(_sit, arguments.speed))
    if arguments.traces is not None:
        return _measure(arguments, partial(_trace, arguments.traces or TRACES, arguments.seeds or SEEDS))
    if arguments.aa:
        return _measure(arguments, _again)
    if arguments.defaults:
        return _measure(arguments, _ask)
    todo = missing(wanted, rows, machine=_machine(arguments))
    print(f"{len(wanted)} cells, {len(wanted) - len(todo)} in the tables already, {len(todo)} to run.")
    if arguments.dry_run:
        print("\n".join(map(str, todo)))
        return 0
    return _run_all(todo, arguments)


def _machine(arguments: argparse.Namespace) -> str | None:
    """A ladder's runs are all of one machine, other cells may be of any."""
    return machine.name() if arguments.ladder else None


def _wanted(arguments: argparse.Namespace) -> list[Cell]:
    count = arguments.seeds or (SEEDS if arguments.ladder is None else LADDER_SEEDS)
    seeds = range(arguments.first_seed, arguments.first_seed + count)
    if arguments.ladder is None:
        return cells(arguments.models, arguments.frameworks, seeds)
    spec = ZOO[arguments.ladder].spec
    for sentence in ladder.unmoved(spec).values():
        print(sentence)
    return cells([arguments.ladder], arguments.frameworks, seeds, ladder.rungs(spec))


def _measure(arguments: argparse.Namespace, record: Callable[[speed.Sitting, str], str]) -> int:
    """Let `record` write rows of a new sitting as they come, and show the page that it returns."""
    begun = _now()
    sitting = speed.Sitting(
        folder=arguments.results,
        data_dir=arguments.data_dir,
        models=arguments.models,
        frameworks=arguments.frameworks,
    )
    try:
        page = record(sitting, begun)
    except results.ResultsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; what is shown above is kept. Name what is missing to go on.")
        return 130
    print(f"\n{page}")
    return 0


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _sit(parts: Sequence[str], sitting: speed.Sitting, begun: str) -> str:
    """Times of the chosen parts; their tables."""
    for part in parts or speed.PARTS:
        for row in speed.PARTS[part](sitting):
            results.append_speed(sitting.folder, [dataclasses.replace(row, sitting=begun)])
            name = f"{row.measure:22} {row.model:20} {row.framework:11} {row.arm[-40:]:40}"
            print(f"{name} {row.value:10.4g} {row.unit}", flush=True)
    found = stats.frame("speed.csv", results.rows(sitting.folder, "speed.csv"))
    return timings.section(found[found["sitting"] == begun])


def _again(sitting: speed.Sitting, begun: str) -> str:
    """Each network in both frameworks and against itself; what the ratios come to."""
    for model in sitting.models:
        rows = [dataclasses.replace(row, sitting=begun) for row in speed.again(sitting, model)]
        results.append_speed(sitting.folder, rows)
        print(f"{model}: {len(rows)} figures", flush=True)
    found = stats.frame("speed.csv", results.rows(sitting.folder, "speed.csv"))
    return pace.table(found[found["sitting"] == begun])


def _trace(kinds: Sequence[str], seeds: int, sitting: speed.Sitting, begun: str) -> str:
    """Each network's first steps in both frameworks, in every arm of chaos.ARMS, and first epochs in those in
    single precision; how they compare."""
    for model in sitting.models:
        arms = [speed.traced(sitting, model, *arm) for arm in chaos.ARMS] if "steps" in kinds else []
        for seed in range(1, seeds + 1) if "epoch" in kinds else ():
            arms += [speed.traced(sitting, model, *arm, epoch_of_seed=seed) for arm in chaos.ARMS[1:]]
        rows = [dataclasses.replace(row, sitting=begun) for arm in arms for row in arm]
        results.append_traces(sitting.folder, rows)
        print(f"{model}: {len(rows)} losses", flush=True)
    return chaos.section(stats.frame("traces.csv", results.rows(sitting.folder, "traces.csv")))


def _ask(sitting: speed.Sitting, begun: str) -> str:
    """The frameworks' own defaults, side by side."""
    for framework in sitting.frameworks:
        rows = [dataclasses.replace(row, sitting=begun) for row in speed.asked(framework)]
        results.append_defaults(sitting.folder, rows)
    return benchmarks.side_by_side(stats.frame("defaults.csv", results.rows(sitting.folder, "defaults.csv")))


def _run_all(todo: Sequence[Cell], arguments: argparse.Namespace) -> int:
    failed = []
    log_path = arguments.results / "bench.log"
    with log_path.open("a") as log:
        for index, cell in enumerate(todo):
            rows = results.rows(arguments.results, "results.csv")
            print(_announcement(cell, index, todo, rows), end="", flush=True)
            begun = time.perf_counter()
            try:
                status = run_cell(cell, arguments.results, arguments.data_dir, log)
            except KeyboardInterrupt:
                print(f"\nInterrupted; run it again to go on. {len(todo) - index} cells are missing.")
                return 130
            log.flush()
            print(
                f"{time.perf_counter() - begun:.0f} s, {_outcome(cell, status, arguments.results)}",
                flush=True,
            )
            rows = results.rows(arguments.results, "results.csv")
            if missing([cell], rows, machine=_machine(arguments)):
                failed.append(cell)
    if failed:
        names = ", ".join(map(str, failed))
        print(f"No row for {names}: see {log_path}.", file=sys.stderr)
    return 1 if failed else 0


def _announcement(cell: Cell, index: int, todo: Sequence[Cell], rows: Sequence[dict[str, str]]) -> str:
    left = seconds_left(todo[index:], rows)
    shown = "" if left is None else f" (about {datetime.timedelta(seconds=round(left))} left)"
    return f"{index + 1}/{len(todo)} {cell}{shown} ... "


def _outcome(cell: Cell, status: int, folder: Path) -> str:
    if status:
        return f"exit status {status}"
    row = results.rows(folder, "results.csv")[-1]
    return f"{row['accuracy']} %"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common.bench", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=tuple(ZOO), default=tuple(ZOO), metavar="NAME")
    parser.add_argument("--frameworks", nargs="+", choices=tuple(SCRIPTS), default=tuple(SCRIPTS))
    parser.add_argument(
        "--seeds",
        type=number(int, 1),
        metavar="N",
        help=f"(default: {SEEDS}, of a ladder {LADDER_SEEDS})",
    )
    parser.add_argument(
        "--first-seed", type=number(int, 1), default=1, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument(
        "--speed",
        nargs="*",
        choices=tuple(speed.PARTS),
        metavar="PART",
        help=f"measure speed instead, all of it or parts: {', '.join(speed.PARTS)}",
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
    parser.add_argument("--dry-run", action="store_true", help="only say what is missing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
