"""`bench ablation MODEL`: run a network with every part matched, with one part after the other left to each
framework's own defaults, and with all of them.

The runs follow one another, so that their times can be compared too; with --workers only accuracies are.
"""

from __future__ import annotations

import argparse

from common.bench.arguments import (
    add_dataset,
    add_execution,
    add_folders,
    add_frameworks,
    add_seeds,
    add_workers,
    seeds,
)
from common.cli.arguments import network
from common.model.own_network import entry_of

SEEDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench ablation`."""
    parser.add_argument(
        "model", type=network, metavar="MODEL", help="a network of the zoo, or FILE.py or FILE.py:NAME"
    )
    add_frameworks(parser)
    add_seeds(parser, default=SEEDS)
    add_folders(parser)
    add_dataset(parser)
    add_execution(parser)
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Run the variants that this machine has not run on as many threads; the exit status of `bench run`."""
    from common.analysis import ablation
    from common.bench import execution, tasks
    from common.bench.requested_data import requested_data
    from common.tables import machine
    from common.tables.cores import cores_each

    spec = entry_of(options.model).spec
    for sentence in ablation.inapplicable_parts(spec).values():
        print(sentence)
    data = requested_data(options, [options.model])
    variants = ablation.variants(spec)
    wanted = tasks.tasks_of([options.model], options.frameworks, seeds(options), variants, data=data)
    # Without a number a run would look at OMP_NUM_THREADS too.
    options.threads = options.threads or cores_each(options.workers or 1)
    here = {"machine": machine.name(), "threads": str(options.threads)}
    return execution.run_missing(wanted, options, where=here)
