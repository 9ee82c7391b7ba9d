"""`bench aa`: measure an epoch of each network in each framework, and each framework against itself (A/A).

Where the ratio of a framework to itself excludes 1 the clock was not steady, and no ratio of frameworks is
reported.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from common.bench.arguments import add_folders, add_frameworks, add_models
from common.bench.measure import Session, row, run_session, train
from common.cli.profile import ROUNDS, summarise
from common.tables.schema import SpeedRow

ARMS = ("A", "B")

COLUMNS = {
    "images_per_second": "images / s",
    "predict_seconds": "s",
    "peak_memory_mib": "MiB",
    "train_seconds": "s",
    "cpu_seconds": "s",
}
"""The columns of results.csv that are kept of these runs, and their units."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench aa`."""
    add_models(parser)
    add_frameworks(parser)
    add_folders(parser)


def run(options: argparse.Namespace) -> int:
    """Measure every network; print the ratios."""
    return run_session(options, _measure)


def _measure(session: Session) -> str:
    from common.analysis import frames
    from common.report import speed_ratios

    for model in session.models:
        print(f"{model}: {session.append('speed.csv', rounds(session, model))} measurements", flush=True)
    rows = frames.frame(session.folder, "speed.csv")
    return speed_ratios.table(rows[rows["sitting"] == session.started])


def rounds(session: Session, model: str) -> Iterator[SpeedRow]:
    """Rows of ROUNDS rounds; in each, every framework trains an epoch as arm A and again as arm B.

    Every run is a row for each of COLUMNS, its arm named with the round; the frameworks swap places each
    round.
    """
    with tempfile.TemporaryDirectory() as folder:
        apart = dataclasses.replace(session, folder=Path(folder))
        for number in range(1, ROUNDS + 1):
            for arm, framework in product(ARMS, session.frameworks[:: 1 if number % 2 else -1]):
                trained = train(apart, framework, model, "--epochs", "1", "--seed", str(number))
                about = {name: trained[name] for name in ("framework", "framework_version", "device")}
                for column, unit in COLUMNS.items():
                    value = summarise([float(trained[column])])
                    arms = {"measure": f"again {column}", "arm": f"{arm} {number}", "unit": unit}
                    yield row(**arms, **about, model=model, threads=int(trained["threads"]), **value)
