"""Options that several subcommands of `python -m common.bench` share."""

from __future__ import annotations

import argparse
from pathlib import Path

from common.cli.arguments import MAX_SEED, MAX_SEEDS, MAX_THREADS, dataset, network, number, one_of
from common.cli.paths import path
from common.data.datasets import DATASETS
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO


class UsageError(Exception):
    """Options that exclude each other; the message is a sentence for the person at the terminal."""


def add_models(parser: argparse.ArgumentParser) -> None:
    """--models NAME ..."""
    parser.add_argument(
        "--models",
        nargs="+",
        type=network,
        default=tuple(ZOO),
        metavar="MODEL",
        help="networks of the zoo, or of files: FILE.py or FILE.py:NAME (default: all of the zoo)",
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """--dataset NAME|FOLDER|FILE.npz."""
    parser.add_argument(
        "--dataset",
        type=dataset,
        default="mnist",
        metavar="NAME|FOLDER|FILE.npz",
        help=f"data set to train and test on: {', '.join(DATASETS)}, or your own (default: %(default)s)",
    )


def add_frameworks(parser: argparse.ArgumentParser) -> None:
    """--frameworks NAME ..."""
    parser.add_argument(
        "--frameworks",
        nargs="+",
        type=one_of(FRAMEWORKS, "a framework"),
        default=tuple(FRAMEWORKS),
        metavar="NAME",
        help=f"{' or '.join(FRAMEWORKS)} (default: all)",
    )


def add_seeds(parser: argparse.ArgumentParser, *, default: int) -> None:
    """--seeds N and --first-seed N."""
    parser.add_argument(
        "--seeds",
        type=number(int, 1, MAX_SEEDS),
        default=default,
        metavar="N",
        help="number of seeds (default: %(default)s)",
    )
    parser.add_argument(
        "--first-seed",
        type=number(int, 1, MAX_SEED - MAX_SEEDS + 1),
        default=1,
        metavar="N",
        help="lowest seed (default: %(default)s)",
    )


def seeds(options: argparse.Namespace) -> range:
    """The seeds that --seeds and --first-seed name."""
    return range(options.first_seed, options.first_seed + options.seeds)


def add_folders(parser: argparse.ArgumentParser, *, results: str = "results") -> None:
    """--results DIR and --data-dir DIR."""
    add_results(parser, default=results)
    parser.add_argument(
        "--data-dir", type=path, metavar="DIR", help="folder of the data set (default: the user's cache)"
    )


def add_results(parser: argparse.ArgumentParser, *, default: str = "results") -> None:
    """--results DIR."""
    parser.add_argument(
        "--results",
        type=path,
        default=Path(default),
        metavar="DIR",
        help="folder of the tables (default: %(default)s)",
    )


def add_execution(parser: argparse.ArgumentParser) -> None:
    """--threads N and --dry-run."""
    parser.add_argument(
        "--threads",
        type=number(int, 1, MAX_THREADS),
        metavar="N",
        help="threads of each run (default: the cores of its machine, divided among the runs at once)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the tasks to run, and run none")


def add_workers(parser: argparse._ActionsContainer) -> None:
    """--workers N."""
    parser.add_argument(
        "--workers",
        type=number(int, 1, MAX_THREADS),
        metavar="N",
        help="run N tasks at once on this machine, its cores divided among them; their times are not "
        "comparable",
    )
