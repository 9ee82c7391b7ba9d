"""`bench run`: run the tasks of network x framework x seed that have no row in the tables yet.

Each task is a new process of one framework. Seeds are the outer loop and frameworks the inner one, so a
machine that slows down slows both; with even seeds the last framework goes first. An interrupted bench
continues where it stopped. Tasks with --vary or --validation are trials: their rows are kept in trials.csv,
so that what a recipe was chosen by can be computed again, and apart from the runs that the pages report.
"""

from __future__ import annotations

import argparse

from common.bench.arguments import (
    add_dataset,
    add_execution,
    add_folders,
    add_frameworks,
    add_models,
    add_seeds,
    add_workers,
    seeds,
)
from common.cli.arguments import number
from common.data.datasets import TRAINING_IMAGES

SEEDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench run`."""
    add_models(parser)
    add_frameworks(parser)
    add_seeds(parser, default=SEEDS)
    add_folders(parser)
    add_dataset(parser)
    parser.add_argument(
        "--vary",
        nargs="+",
        action="append",
        metavar="FIELD=VALUE",
        help="change the networks' recipes; given several times: compare these changes",
    )
    parser.add_argument(
        "--validation",
        type=number(int, 0, TRAINING_IMAGES - 1),
        default=0,
        metavar="N",
        help="hold out the last N training images and test on them instead of the test set",
    )
    add_execution(parser)
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--cluster", metavar="ADDRESS", help="submit the tasks to this Dask scheduler, tcp://HOST:8786"
    )
    add_workers(place)
    parser.add_argument(
        "--accelerated",
        action="store_true",
        help="run the tasks on an accelerator, by workers that have the resource GPU",
    )


def run(options: argparse.Namespace) -> int:
    """Run the missing tasks; 0 if every one has its row at the end, else 1; 130 on Ctrl-C."""
    from common.bench import execution, sweep, tasks
    from common.bench.requested_data import requested_data
    from common.cli.invocation import refuse_repeated
    from common.tables import store

    overrides = options.vary or [()]
    for changes in overrides:
        refuse_repeated(changes)
    data = requested_data(options, options.models, overrides=overrides, validation=options.validation)
    wanted = tasks.tasks_of(
        options.models,
        options.frameworks,
        seeds(options),
        overrides=overrides,
        validation=options.validation,
        accelerated=options.accelerated,
        data=data,
    )
    trials = bool(options.vary or options.validation)
    table = execution.TRIALS if trials else execution.RESULTS
    status = execution.run_missing(wanted, options, table=table)
    if trials and not options.dry_run:
        print(sweep.table(wanted, store.rows(options.results, table)))
    return status
