"""`bench traces [steps | epoch]`: record the losses of each network's first steps and the accuracy after its
first epoch, in every precision and from initial weights that differ by rounding."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterator

from common.bench.arguments import add_dataset, add_folders, add_frameworks, add_models
from common.bench.measure import Session, run_json, run_session, time_left
from common.cli.arguments import MAX_SEEDS, number, one_of
from common.frameworks import ROOT
from common.model.own_network import entry_of
from common.tables import machine
from common.tables.schema import TraceRow

KINDS = ("steps", "epoch")
SEEDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench traces`."""
    parser.add_argument(
        "kinds",
        nargs="*",
        type=one_of(KINDS, "a kind of trace"),
        metavar="KIND",
        help="steps: losses of first steps, in double and single precision and from initial weights one unit "
        "in the last place away; epoch: accuracies after an epoch over seeds (default: both)",
    )
    add_models(parser)
    add_frameworks(parser)
    parser.add_argument(
        "--seeds",
        type=number(int, 1, MAX_SEEDS),
        metavar="N",
        default=SEEDS,
        help="number of seeds (default: %(default)s)",
    )
    add_folders(parser)
    add_dataset(parser)


def run(options: argparse.Namespace) -> int:
    """Record the traces; print how the frameworks' compare."""
    kinds = options.kinds or KINDS
    return run_session(options, lambda session: _record(session, kinds, options.seeds))


def _record(session: Session, kinds: tuple[str, ...], seeds: int) -> str:
    from common.analysis import frames, rounding
    from common.report import rounding_tables

    arms = [(False, *arm) for arm in rounding.ARMS] if "steps" in kinds else []
    arms += [(True, *arm) for arm in rounding.ARMS[1:]] if "epoch" in kinds else []  # in single precision
    todo = [(model, whole) for model in session.models for _ in range(seeds) for whole, *_ in arms]
    total = len(todo)
    seconds: dict[tuple[str, bool], list[float]] = {}
    for model in session.models:
        rows: list[TraceRow] = []
        for seed, (whole_epoch, *arm) in itertools.product(range(1, seeds + 1), arms):
            clock = time.perf_counter()
            rows += traces(session, model, *arm, seed=seed, whole_epoch=whole_epoch)
            seconds.setdefault(todo.pop(0), []).append(time.perf_counter() - clock)
            done, left = total - len(todo), time_left(todo, seconds)
            print(f"{model} seed {seed}: {done} of {total} traces done{left}", flush=True)
        # Not before: of two sessions the later counts, and half of one would replace a whole one.
        print(f"{model}: {session.append('traces.csv', rows)} losses", flush=True)
    recorded = frames.on_data(frames.frame(session.folder, "traces.csv"), session.data.name)
    names = {entry_of(model).name for model in session.models}
    return rounding_tables.section(recorded[recorded["model"].isin(names)])


def traces(
    session: Session, model: str, precision: str, perturb: str, *, seed: int, whole_epoch: bool = False
) -> Iterator[TraceRow]:
    """Rows of each framework: the losses of a network's first steps, or with `whole_epoch` only the loss of
    an epoch's last step and the accuracy after it."""
    for framework in session.frameworks[:: 1 if seed % 2 else -1]:
        words = ["--precision", precision, *(["--perturb", perturb] if perturb != "none" else [])]
        words += ["--seed", str(seed), *(["--epochs", "1"] if whole_epoch else [])]
        written = run_json(session.command(framework, model, *words, "--trace"))
        start = TraceRow(
            sitting="",
            framework=framework,
            model=entry_of(model).name,
            precision=precision,
            perturb=perturb,
            seed=seed,
            step=0,
            loss="",
            machine=machine.name(),
            framework_version=written["framework_version"],
            commit=machine.commit(ROOT),
        )
        steps = list(enumerate(written["losses"], start=1))
        for step, loss in steps[-1:] if whole_epoch else steps:
            yield dataclasses.replace(start, step=step, loss=repr(loss), accuracy=written["accuracy"])
