"""`bench compare MODEL`: one network in both frameworks, from nothing to the verdict in words.

The accuracies are of as many runs at once as there are cores, one thread each, which is quicker than one run
after the other on all cores. Times and memory are of one pair of runs, which follow one another with the
machine to themselves. What the folder of the tables has already is not run again, unless the times of that
pair are missing.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from common.bench.arguments import UsageError, add_dataset, add_folders, add_seeds, seeds
from common.cli.arguments import MAX_THREADS, network, number
from common.cli.paths import output_error, path
from common.frameworks import PAIR
from common.model.own_network import entry_of

if TYPE_CHECKING:
    from common.analysis.one_network import OneNetwork
    from common.bench.plan import Plan
    from common.bench.requested_data import Data
    from common.bench.tasks import Task

SEEDS = 10
UNUSUAL = re.compile(r"[^\w.+-]")
"""Characters that the name of the picture's file does not have."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench compare`."""
    parser.add_argument(
        "model", type=network, metavar="MODEL", help="FILE.py, FILE.py:NAME, or a network of the zoo"
    )
    add_dataset(parser)
    add_seeds(parser, default=SEEDS)
    add_folders(parser, results="runs")
    parser.add_argument(
        "--workers",
        type=number(int, 1, MAX_THREADS),
        metavar="N",
        help="runs at once, one thread each (default: the number of cores)",
    )
    parser.add_argument(
        "--html",
        type=path,
        metavar="FILE",
        help="write FILE too: a page with every run and the curves, to sort and filter, offline",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the runs that are missing, and run none"
    )


def run(options: argparse.Namespace) -> int:
    """Run what is missing, print the comparison and write the picture; an exit status as of `bench run`."""
    from common.bench import execution, plan, tasks
    from common.bench.requested_data import requested_data
    from common.tables import store
    from common.tables.cores import cores

    is_new = not options.results.exists()
    in_new = is_new and options.html and options.html.parent.resolve() == options.results.resolve()
    if options.html and not in_new and (fault := output_error(options.html)):
        raise UsageError(f"--html: {fault}")
    if options.html and find_spec("vl_convert") is None:
        raise UsageError("--html needs vl-convert-python: python -m pip install vl-convert-python")
    if is_new and not options.dry_run:
        store.check_creatable(options.results)
    if entry_of(options.model).recipe.epochs == 0:
        raise UsageError(f"{options.model} has epochs=0 in its recipe; a comparison needs at least 1.")
    data = requested_data(options, [options.model])
    wanted = tasks.tasks_of([options.model], PAIR, seeds(options), data=data)
    with contextlib.ExitStack() as stack:
        if not is_new and not options.dry_run:
            _reserve(options.results, stack)
        rows = store.rows(options.results, execution.RESULTS)
        recorded = _recorded(options.results, wanted[0])
        planned = plan.plan_of(wanted, rows, recorded, workers=options.workers or cores())
        if options.dry_run:
            print("\n".join(map(str, planned.missing)))
            return 0
        # Before the folder is made: a network that a framework cannot train ends here.
        seconds = plan.seconds_of_a_run(planned, rows, data_dir=options.data_dir)
        print(plan.announcement(planned, seconds), flush=True)
        if is_new:
            _reserve(options.results, stack)
        status = _run(planned, options)
    if status != 130:
        _report(_recorded(options.results, wanted[0]), options)
        if note := resolution(data):
            print(note)
    return status


def _reserve(folder: Path, stack: contextlib.ExitStack) -> None:
    """Check that `folder` can be written, and lock it until `stack` is closed. Raises ResultsError."""
    from common.bench.lock import locked
    from common.tables import store

    store.check_writable(folder)
    stack.enter_context(locked(folder))


def _run(planned: Plan, options: argparse.Namespace) -> int:
    """Run both parts of the plan; an exit status."""
    from common.bench import execution
    from common.tables.cores import cores

    status = 0
    for todo, workers, threads in (
        (planned.together, planned.workers, planned.threads),
        (planned.alone, 1, cores()),
    ):
        if todo and status in (0, 1):
            ended = execution.run_here(
                todo, options.results, data_dir=options.data_dir, threads=threads, workers=workers
            )
            status = max(status, ended)
    return status


def _recorded(folder: Path, task: Task) -> OneNetwork:
    """The comparison of a task's network on its data set, by the tables in `folder`."""
    from common.analysis import frames
    from common.analysis.one_network import one_network

    return one_network(frames.read(folder), task.entry, task.dataset)


def resolution(data: Data) -> str:
    """A remark where one test image is more than the margin of equivalent accuracies; else nothing."""
    from common.analysis.significance import MARGIN

    points = 100 / data.test_images
    if points <= MARGIN:
        return ""
    return (
        f"{data.name} has {data.test_images:,} test images, so one of them is {points:.2g} points: more than "
        f"the ±{MARGIN:g} within which accuracies count as equivalent."
    )


def _report(network: OneNetwork, options: argparse.Namespace) -> None:
    """Print the comparison; write its picture, and with --html the explorer of its rows."""
    from common import files
    from common.report import one_network, one_network_figure
    from common.report.explorer import page
    from common.report.plots import write_png

    print(f"\n{one_network.text(network)}\n")
    name = UNUSUAL.sub("-", f"{network.name}-{network.dataset}")
    picture = options.results / f"{name}.png"
    write_png(picture, lambda: one_network_figure.figure(network))
    print(f"Wrote {picture}.")
    if options.html:
        files.write(options.html, page.page(network.tables).encode())
        print(f"Wrote {options.html}.")
