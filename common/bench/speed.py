"""`bench speed [PART ...]`: times of steps and their parts, loaders, runs to an accuracy, and start-up."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from common.bench.arguments import UsageError, add_dataset, add_folders, add_frameworks, add_models
from common.bench.measure import (
    Session,
    append_and_print,
    row,
    run_json,
    run_session,
    train,
)
from common.bench.requested_data import MNIST
from common.cli.arguments import one_of
from common.cli.parent_watch import ends_with_parent
from common.cli.profile import ROUNDS, summarise
from common.frameworks import FRAMEWORKS, ROOT
from common.model.own_network import entry_of
from common.tables import store
from common.tables.cores import cores
from common.tables.schema import SpeedRow

RACE = ("one-epoch-215k", "speedrun")
"""The networks that are trained to a high accuracy in seconds."""

RACE_SEEDS = 10
START_MODEL = "pytorch-model-1"
"""The network whose start every framework is timed to; that of `backends/*/minimal.py`."""

COMMON_MODEL = "examples-cnn"
"""The network that every framework trains with its own loader, beside its default one."""

SHORTENED = {
    "pytorch-model-1": ("--epochs", "1"),
    COMMON_MODEL: ("--epochs", "1", "--validation", "40000"),
}
"""Options that shorten the slower of the runs with a framework's own loader."""


def profiles(session: Session, *words: str) -> Iterator[SpeedRow]:
    """Steps over a bare loop, the parts of a step, prediction and kernels of every network."""
    for index, model in enumerate(session.models):
        for framework in session.frameworks[:: -1 if index % 2 else 1]:
            written = run_json(session.command(framework, model, *words, "--profile"))
            measurements = written.pop("measurements")
            for measurement in measurements:
                yield row(framework=framework, model=entry_of(model).name, **measurement, **written)


def overhead(session: Session) -> Iterator[SpeedRow]:
    """Steps over a bare loop of every network."""
    return profiles(session, "--epochs", "1")


def execution_options(session: Session) -> Iterator[SpeedRow]:
    """Steps of every network by default, compiled, and in bfloat16."""
    return profiles(session, "--compile")


def native_loaders(session: Session) -> Iterator[SpeedRow]:
    """Training seconds and test accuracy with this project's loader and with the framework's own, in turn."""
    networks = [
        (framework, model)
        for framework in session.frameworks
        for model in (FRAMEWORKS[framework].default_model, COMMON_MODEL)
        if model in session.models
    ]
    for framework, model in networks:
        runs: dict[str, list[dict[str, str]]] = {"memory": [], "native": []}
        for seed in range(1, ROUNDS + 1):
            for loader in list(runs)[:: 1 if seed % 2 else -1]:
                words = ("--loader", loader, *SHORTENED.get(model, ()), "--seed", str(seed))
                runs[loader].append(train(session, framework, model, *words))
        yield from _summaries("idiom", runs, framework, model)


def time_to_accuracy(session: Session) -> Iterator[SpeedRow]:
    """Training seconds, seconds from process start and test accuracy of RACE, over RACE_SEEDS seeds."""
    runs: dict[tuple[str, str], list[dict[str, str]]] = {
        (framework, model): []
        for framework in session.frameworks
        for model in RACE
        if model in session.models
    }
    for seed in range(1, RACE_SEEDS + 1):
        for framework, model in list(runs)[:: 1 if seed % 2 else -1]:
            runs[framework, model].append(train(session, framework, model, "--seed", str(seed)))
    for (framework, model), rows in runs.items():
        yield from _summaries("race", {"run": rows}, framework, model)


def startup(session: Session) -> Iterator[SpeedRow]:
    """Seconds from process start to the end of `--help`, of the first training step of START_MODEL, and of
    that of the framework's minimal program; the frameworks take turns."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--log-interval", "1", "--threads", str(cores()), "--results", folder)
        commands = {
            framework: {
                "help": (session.command(framework, START_MODEL, "--help"), ""),
                "plain step": (minimal_program(framework), "done"),
                "first step": (session.command(framework, START_MODEL, *options), "epoch 1/"),
            }
            for framework in session.frameworks
        }
        seconds: dict[tuple[str, str], list[float]] = {}
        for index in range(ROUNDS):
            for framework in session.frameworks[:: -1 if index % 2 else 1]:
                for arm, (command, line) in commands[framework].items():
                    seconds.setdefault((framework, arm), []).append(seconds_until(command, line))
    for (framework, arm), values in seconds.items():
        about = {"framework": framework, "model": START_MODEL, "arm": arm}
        yield row(measure="start", unit="s", **about, **summarise(values))


def minimal_program(framework: str) -> list[str]:
    """The command line of the shortest program that imports a framework and takes one training step."""
    # -P: the modules beside it have names that a library might import.
    return [sys.executable, "-P", str(ROOT / "backends" / framework / "minimal.py")]


Part = Callable[[Session], Iterator[SpeedRow]]

PARTS: dict[str, Part] = {
    "profiles": profiles,
    "native-loaders": native_loaders,
    "race": time_to_accuracy,
    "startup": startup,
    "options": execution_options,
}
"""Parts that `bench speed` measures without PART, in this order."""

CHOICES: dict[str, Part] = {**PARTS, "idioms": native_loaders, "overhead": overhead}

OF_ANY_DATA = ("profiles", "options", "overhead")
"""The parts that measure whatever network and data are named; the others are of certain networks on MNIST."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench speed`."""
    parser.add_argument(
        "parts",
        nargs="*",
        type=one_of(CHOICES, "a part"),
        metavar="PART",
        help=f"what to measure (default: all): {', '.join(PARTS)}; or overhead, the part of profiles that "
        "times steps over a bare loop; idioms is another name of native-loaders",
    )
    add_models(parser)
    add_frameworks(parser)
    add_folders(parser)
    add_dataset(parser)


def run(options: argparse.Namespace) -> int:
    """Measure the parts; print their tables."""
    parts = options.parts or tuple(PARTS)
    if options.dataset != MNIST.address:
        parts = _of_any_data(options.parts) or tuple(part for part in PARTS if part in OF_ANY_DATA)
    return run_session(options, lambda session: _measure(session, parts))


def _of_any_data(parts: Sequence[str]) -> Sequence[str]:
    """The same parts. Raises UsageError for one that is of MNIST alone."""
    for part in parts:
        if part not in OF_ANY_DATA:
            raise UsageError(
                f"{part} is measured with networks of the zoo on MNIST; with --dataset name "
                f"{' or '.join(OF_ANY_DATA)}."
            )
    return parts


def _measure(session: Session, parts: Sequence[str]) -> str:
    from common.analysis import frames
    from common.report import timings

    chosen = dict.fromkeys(CHOICES[part] for part in parts)
    for part in chosen:
        if part is overhead and profiles in chosen:
            continue  # it is the first part of every profile
        append_and_print(session, part(session))
    rows = frames.frame(session.folder, "speed.csv")
    return timings.section(rows[rows["sitting"] == session.started])


def _summaries(
    measure: str, runs: dict[str, list[dict[str, str]]], framework: str, model: str
) -> Iterator[SpeedRow]:
    """Median seconds, median and mean accuracy of each arm's runs."""
    for arm, rows in runs.items():
        settings = {name: rows[0][name] for name in ("framework_version", "device")}
        about = {"threads": int(rows[0]["threads"]), "framework": framework, "model": model, "arm": arm}
        for column, unit in (("train_seconds", "s"), ("total_seconds", "s"), ("accuracy", "percent")):
            values = [float(run[column]) for run in rows]
            yield row(measure=f"{measure} {column}", unit=unit, **settings, **about, **summarise(values))
            if column == "accuracy":
                mean = summarise(values) | {"value": statistics.fmean(values)}
                yield row(measure=f"{measure} mean accuracy", unit=unit, **settings, **about, **mean)


def seconds_until(command: Sequence[str], beginning: str) -> float:
    """Seconds from the start of a process to its first line that starts with `beginning`; it is killed then.

    Raises ResultsError if it ends without such a line.
    """
    started_at = time.perf_counter()
    with ends_with_parent() as child:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **child
        )
        assert process.stdout
        try:
            for line in process.stdout:
                if line.startswith(beginning):
                    return time.perf_counter() - started_at
        finally:
            process.kill()
            process.wait()
    raise store.ResultsError(f"{' '.join(command[1:])} ended without a line that begins with {beginning!r}.")
