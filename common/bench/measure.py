"""What is measured in a sitting of `python -m common.bench --speed`, each run in a process of its own.

Frameworks and arms take turns. Runs that train get their rows in results.csv as any other; the medians of a
sitting are rows of speed.csv. Traces of first steps are taken here too.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from common.cli.profile import ROUNDS, summarise
from common.frameworks import FRAMEWORKS, ROOT
from common.tables import machine, store
from common.tables.schema import DefaultRow, SpeedRow, TraceRow

RACE_SEEDS = 10
PART_OF_MNIST = ("--epochs", "1", "--validation", "40000")
IDIOMS = (
    ("pytorch", "pytorch-model-1", ("--epochs", "1")),
    ("tensorflow", "tf-model-1", ()),
    ("pytorch", "examples-cnn", PART_OF_MNIST),
    ("tensorflow", "examples-cnn", PART_OF_MNIST),
)
"""Framework, network and how much of it is compared with the framework's own loader and usual loop."""

ARMS = ("A", "B")  # of one thing measured against itself
AA_COLUMNS = {
    "images_per_second": "images / s",
    "predict_seconds": "s",
    "peak_memory_mib": "MiB",
    "train_seconds": "s",
    "cpu_seconds": "s",
}
"""What is kept of such runs: columns of results.csv and their units."""

RACE = ("one-epoch-215k", "speedrun")


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a sitting reads data and writes rows, and what its networks and frameworks are."""

    folder: Path
    data_dir: Path | None
    models: Sequence[str]
    frameworks: Sequence[str]

    def command(self, framework: str, model: str, *words: str) -> list[str]:
        """A command line of a framework's script."""
        folder = ["--data-dir", str(self.data_dir)] if self.data_dir else []
        return [*FRAMEWORKS[framework].command, "--no-accel", "--model", model, *folder, *words]


def profiles(sitting: Session, *words: str) -> Iterator[SpeedRow]:
    """Every network in every framework, part by part."""
    for model in sitting.models:
        for framework in sitting.frameworks:
            told = _told(sitting.command(framework, model, *words, "--profile"))
            figures = told.pop("figures")
            for figure in figures:
                yield row(framework=framework, model=model, **figure, **told)


def options(sitting: Session) -> Iterator[SpeedRow]:
    """Every network in every framework: compiled, and in bfloat16."""
    return profiles(sitting, "--compile")


def native_loaders(sitting: Session) -> Iterator[SpeedRow]:
    """Training seconds and test accuracy: ours, and as most users of the framework train."""
    for framework, model, extent in IDIOMS:
        if framework not in sitting.frameworks or model not in sitting.models:
            continue
        taken: dict[str, list[dict[str, str]]] = {"memory": [], "native": []}
        for seed in range(1, ROUNDS + 1):
            for arm, rows in taken.items():
                words = ("--loader", arm, *extent, "--seed", str(seed))
                rows.append(_trained(sitting, framework, model, *words))
        yield from _compared("idiom", taken, framework, model)


def time_to_accuracy(sitting: Session) -> Iterator[SpeedRow]:
    """The quick networks: training seconds, seconds from process start, test accuracy, over RACE_SEEDS."""
    taken: dict[tuple[str, str], list[dict[str, str]]] = {
        (framework, model): []
        for framework in sitting.frameworks
        for model in RACE
        if model in sitting.models
    }
    for seed in range(1, RACE_SEEDS + 1):
        for (framework, model), rows in taken.items():
            rows.append(_trained(sitting, framework, model, "--seed", str(seed)))
    for (framework, model), rows in taken.items():
        yield from _compared("race", {"run": rows}, framework, model)


def startup(sitting: Session) -> Iterator[SpeedRow]:
    """Seconds from process start: to `--help`, to the end of the first training step, and to that of the
    least program that takes one."""
    for framework in sitting.frameworks:
        model = FRAMEWORKS[framework].default_model
        with tempfile.TemporaryDirectory() as folder:
            step = sitting.command(framework, model, "--log-interval", "1", "--results", folder)
            arms = {
                "help": (sitting.command(framework, model, "--help"), ""),
                "plain step": (minimal_program(framework), "done"),
                "first step": (step, "epoch 1/"),
            }
            taken: dict[str, list[float]] = {arm: [] for arm in arms}
            for _ in range(ROUNDS):
                for arm, (command, line) in arms.items():
                    taken[arm].append(_until(command, line))
        for arm, values in taken.items():
            yield row(
                measure="start", framework=framework, model=model, arm=arm, unit="s", **summarise(values)
            )


def minimal_program(framework: str) -> list[str]:
    """The command line of the shortest program that imports a framework and takes a training step of it."""
    # -P: the modules beside it have names that a library might import.
    return [sys.executable, "-P", str(ROOT / "backends" / framework / "minimal.py")]


def aa_runs(sitting: Session, model: str) -> Iterator[SpeedRow]:
    """An epoch of a network ROUNDS times in every framework, each time twice: as arm A and as arm B.

    Every run is a row for each of AGAIN, its arm named with the round; the frameworks swap places each round.
    """
    with tempfile.TemporaryDirectory() as folder:
        apart = dataclasses.replace(sitting, folder=Path(folder))
        for number in range(1, ROUNDS + 1):
            for arm, framework in product(ARMS, sitting.frameworks[:: 1 if number % 2 else -1]):
                told = _trained(apart, framework, model, "--epochs", "1", "--seed", str(number))
                about = {name: told[name] for name in ("framework", "model", "framework_version", "device")}
                for column, unit in AA_COLUMNS.items():
                    value = summarise([float(told[column])])
                    arms = {"measure": f"again {column}", "arm": f"{arm} {number}", "unit": unit}
                    yield row(**arms, **about, threads=int(told["threads"]), **value)


def take_traces(
    sitting: Session, model: str, precision: str, perturb: str, *, epoch_of_seed: int | None = None
) -> Iterator[TraceRow]:
    """The losses of a network's first steps in every framework, with seed 1, or only that of the last step of
    an epoch, with the accuracy after it; the sitting is put in by who writes them."""
    for framework in sitting.frameworks:
        words = ["--precision", precision, *(["--perturb", perturb] if perturb != "none" else [])]
        words += ["--seed", str(epoch_of_seed), "--epochs", "1"] if epoch_of_seed else []
        told = _told(sitting.command(framework, model, *words, "--trace"))
        whole = TraceRow(
            sitting="",
            framework=framework,
            model=model,
            precision=precision,
            perturb=perturb,
            seed=epoch_of_seed or 1,
            step=0,
            loss="",
            machine=machine.name(),
            framework_version=told["framework_version"],
            commit=machine.commit(ROOT),
        )
        steps = list(enumerate(told["losses"], start=1))
        for step, loss in steps[-1:] if epoch_of_seed else steps:
            yield dataclasses.replace(whole, step=step, loss=repr(loss), accuracy=told["accuracy"])


def read_defaults(framework: str) -> list[DefaultRow]:
    """A framework's own defaults; the sitting is put in by who writes them."""
    told = _told([*FRAMEWORKS[framework].command, "--defaults"])
    return [
        DefaultRow(
            sitting="",
            framework=framework,
            framework_version=told["framework_version"],
            item=item,
            value=value,
        )
        for item, value in told["defaults"].items()
    ]


PARTS: dict[str, Callable[[Session], Iterator[SpeedRow]]] = {
    "profiles": profiles,
    "idioms": native_loaders,
    "race": time_to_accuracy,
    "startup": startup,
    "options": options,
}


def row(**cells: object) -> SpeedRow:
    """A row of this machine and commit; the sitting is put in by who writes it."""
    unknown = {"sitting": "", "device": "cpu", "threads": machine.cores(), "framework_version": ""}
    here = {"machine": machine.name(), "python": machine.python(), "commit": machine.commit(ROOT)}
    return SpeedRow(**(unknown | here | cells))  # type: ignore[arg-type]


def _compared(
    measure: str, taken: dict[str, list[dict[str, str]]], framework: str, model: str
) -> Iterator[SpeedRow]:
    for arm, rows in taken.items():
        told = {name: rows[0][name] for name in ("framework_version", "device", "threads")}
        about = {**told, "threads": int(told["threads"]), "framework": framework, "model": model, "arm": arm}
        for column, unit in (("train_seconds", "s"), ("total_seconds", "s"), ("accuracy", "percent")):
            values = [float(row[column]) for row in rows]
            yield row(measure=f"{measure} {column}", unit=unit, **about, **summarise(values))
            if column == "accuracy":
                mean = summarise(values) | {"value": statistics.fmean(values)}
                yield row(measure=f"{measure} mean accuracy", unit=unit, **about, **mean)


def _trained(sitting: Session, framework: str, model: str, *words: str) -> dict[str, str]:
    """The row of a run."""
    before = len(store.rows(sitting.folder, "results.csv"))
    _run(sitting.command(framework, model, *words, "--results", str(sitting.folder)))
    return store.rows(sitting.folder, "results.csv")[before]


def _told(command: Sequence[str]) -> dict[str, Any]:
    """What a process writes as JSON into the file that its last flag is given."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "told.json")
        _run([*command, str(file)])
        told: dict[str, Any] = json.loads(file.read_text())
    return told


def _run(command: Sequence[str]) -> None:
    """Raises ResultsError with the last line of a process that failed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise store.ResultsError(f"{' '.join(command[1:])} failed: {said[-1] if said else 'no word'}")


def _until(command: Sequence[str], beginning: str) -> float:
    """Seconds from the start of a process to its first line that begins so; it is ended then."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        for line in process.stdout:
            if line.startswith(beginning):
                return time.perf_counter() - begun
    finally:
        process.kill()
        process.wait()
    raise store.ResultsError(f"{' '.join(command[1:])} ended without a line that begins with {beginning!r}.")
