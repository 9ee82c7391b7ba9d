"""`bench aa`: measure short runs of each network in each framework, and each framework against itself (A/A).

Where a framework's ratio to itself is not near enough to 1, the clock was not exact enough for a ratio of the
frameworks, and none is reported. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from common.bench.arguments import UsageError, add_dataset, add_folders, add_frameworks, add_models
from common.bench.measure import Session, row, run_session, train
from common.bench.requested_data import MNIST, Data
from common.cli.arguments import MAX_SEEDS, number
from common.cli.profile import ROUNDS, summarise
from common.data.datasets import TRAINING_IMAGES
from common.data.source import load
from common.model.own_network import entry_of
from common.model.zoo import ZOO
from common.tables import machine, store
from common.tables.schema import SpeedRow

PREPROCESS_SECONDS = 4e-5  # about, of the moment normalisation of an image
ARMS = ("A", "B")

COLUMNS = {
    "images_per_second": "images / s",
    "train_seconds": "s",
    "predict_seconds": "s",
    "import_seconds": "s",
    "first_step_seconds": "s",
    "total_seconds": "s",
    "cpu_seconds": "s",
    "peak_memory_mib": "MiB",
}
"""The columns of results.csv that are kept of these runs, and their units."""


@dataclass(frozen=True)
class Length:
    """Part of a recipe that a run trains: its first `epochs` (None: all), with `held_out` training images to
    test on instead of the test set; test-time augmentation is left out."""

    epochs: int | None = None
    held_out: int = 0

    def words(self, model: str) -> list[str]:
        """The options of the scripts."""
        epochs = [] if self.epochs is None else ["--epochs", str(self.epochs)]
        held_out = ["--validation", str(self.held_out)] if self.held_out else []
        return epochs + held_out + (["--vary", "tta_shift=0"] if entry_of(model).recipe.tta_shift else [])

    def counts(self, model: str, data: Data) -> dict[str, int]:
        """Images that each epoch trains and tests on, numbers of images trained and tested in all, and the
        images of the data set."""
        recipe = entry_of(model).recipe
        epochs = recipe.epochs if self.epochs is None else self.epochs
        training_images = data.training_images - self.held_out
        test_images = self.held_out or data.test_images
        steps = training_images // recipe.batch_size
        return {
            "training_images": training_images,
            "test_images": test_images,
            "trained_images": epochs * steps * recipe.batch_size,
            "tested_images": (epochs + 1) * test_images,
            "all_training_images": data.training_images,
            "all_test_images": data.test_images,
        }


SHORT = Length(epochs=1, held_out=40_000)
LENGTHS = {
    "tf-model-1": Length(),
    "mlp-tuned": Length(epochs=2),
    "one-epoch-215k": Length(),
    "speedrun": Length(),
    "examples-cnn": Length(epochs=1, held_out=50_000),
}
"""The runs on MNIST of the quickest networks and the slowest; those of all others are SHORT."""


def length_of(model: str, data: Data) -> Length:
    """The runs of a network: on other data than MNIST, and of batches with less than two in SHORT, the first
    epochs of about as many images as SHORT, of two steps at least: the first is not in the speed. Raises
    UsageError for a recipe with fewer steps."""
    recipe, images = entry_of(model).recipe, TRAINING_IMAGES - SHORT.held_out
    if data == MNIST and 2 * recipe.batch_size <= images:
        return LENGTHS.get(model, SHORT)
    steps = data.training_images // recipe.batch_size
    epochs = min(max(1 if steps > 1 else 2, images // data.training_images), recipe.epochs)
    if epochs * steps < 2:
        raise UsageError(f"{model} trains fewer than two steps on {data.name}; a speed takes two.")
    return Length(epochs=epochs)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench aa`."""
    add_models(parser)
    add_frameworks(parser)
    parser.add_argument(
        "--rounds",
        type=number(int, 2, MAX_SEEDS),
        default=ROUNDS,
        metavar="N",
        help="rounds of two runs in each framework (default: %(default)s)",
    )
    add_folders(parser)
    add_dataset(parser)


def run(options: argparse.Namespace) -> int:
    """Print how long it will take; measure every network; print the ratios."""
    named = dict.fromkeys(options.models)
    options.models = [model for model in named if entry_of(model).judged or len(named) < len(ZOO)]
    return run_session(options, lambda session: _measure(session, options.rounds))


def _measure(session: Session, count: int) -> str:
    from common.analysis import frames
    from common.report import speed_ratios

    print(expected(session, count, store.rows(session.folder, "results.csv")), flush=True)
    for model in session.models:
        print(
            f"{model}: {session.append('speed.csv', rounds(session, model, count))} measurements", flush=True
        )
    rows = frames.frame(session.folder, "speed.csv")
    recipes = {entry.name: entry.recipe for entry in map(entry_of, session.models)}
    return speed_ratios.tables(rows[rows["sitting"] == session.started], recipes)


def rounds(session: Session, model: str, count: int) -> Iterator[SpeedRow]:
    """Rows of `count` rounds; in each, every framework makes a run as arm A and another as arm B.

    Every run is a row for each of COLUMNS, its arm named with the round. The frameworks take turns in the
    order 1, 2, 2, 1, and in the next round 2, 1, 1, 2, so a machine that slows down slows both; the arm that
    comes first alternates too. Raises ResultsError if another run was on the machine.
    """
    length = length_of(model, session.data)
    counts = length.counts(model, session.data)
    images = load(session.data.address, data_dir=session.data_dir).train.images[: counts["training_images"]]
    with tempfile.TemporaryDirectory() as folder:
        apart = dataclasses.replace(session, folder=Path(folder))
        for index in range(1, count + 1):
            turn = 1 if index % 2 else -1
            started_at = time.perf_counter()
            entry_of(model).recipe.preprocess(images)
            constants = counts | {"preprocess_seconds": time.perf_counter() - started_at}
            for place, arm in enumerate(ARMS[::turn]):
                for framework in session.frameworks[:: -turn if place else turn]:
                    run = train(apart, framework, model, *length.words(model), "--seed", str(index))
                    if float(run["at_once"] or 1) > 1:
                        raise store.ResultsError(
                            f"{run['at_once']} runs were on this machine at once while {model} was measured; "
                            "an A/A test needs the machine to itself."
                        )
                    yield from _rows(run, constants, model=entry_of(model).name, arm=f"{arm} {index}")


def _rows(
    run: Mapping[str, str], constants: Mapping[str, float], *, model: str, arm: str
) -> Iterator[SpeedRow]:
    """The measurements of a run, and the numbers that all runs of its round share."""
    about = {name: run[name] for name in ("framework", "framework_version", "device")}
    measured = {column: (float(run[column]), unit) for column, unit in COLUMNS.items()}
    shared = {
        name: (float(value), "s" if name.endswith("seconds") else "images")
        for name, value in constants.items()
    }
    for name, (value, unit) in (measured | shared).items():
        values = {"measure": f"again {name}", "arm": arm, "unit": unit, **summarise([value])}
        yield row(**values, **about, model=model, threads=int(run["threads"]))


def expected(session: Session, count: int, rows: Sequence[Mapping[str, str]]) -> str:
    """A sentence with the expected duration, from the recorded runs of the same networks."""
    seconds = {model: _expected(model, session, rows) for model in session.models}
    measured = [each for each in seconds.values() if each is not None]
    text = f"{len(seconds)} networks, {count} rounds of {len(ARMS)} runs in each framework"
    if not measured:
        return f"{text}; no run of them is recorded, so their duration is unknown."
    duration = datetime.timedelta(seconds=round(count * len(ARMS) * sum(measured)))
    unknown = [model for model, each in seconds.items() if each is None]
    rest = f", and {', '.join(unknown)}, which no recorded run has" if unknown else ""
    return f"{text}: about {duration}{rest}."


def _expected(model: str, session: Session, rows: Sequence[Mapping[str, str]]) -> float | None:
    """Seconds of one run in each framework: the medians of recorded runs, of this machine if it has some, for
    as many images."""
    data, total = session.data, 0.0
    counts = length_of(model, data).counts(model, data)
    preprocessed = counts["training_images"] + counts["test_images"] if entry_of(model).recipe.moments else 0
    settings = {"model": entry_of(model).name, "status": "ok", "loader": "memory", "dataset": data.name}
    for framework in session.frameworks:
        wanted = settings | {"framework": framework}
        recorded = [
            row
            for row in rows
            if all(row[name] == value for name, value in wanted.items()) and row["images_per_second"]
        ]
        recorded = [row for row in recorded if row["machine"] == machine.name()] or recorded
        if not recorded:
            return None
        predicting = [float(row["predict_seconds"]) / data.test_images for row in recorded]
        around = [
            float(row["total_seconds"])
            - float(row["train_seconds"])
            - (int(row["epochs"]) + 1) * float(row["predict_seconds"])
            for row in recorded
        ]
        training = [1 / float(row["images_per_second"]) for row in recorded]
        total += median(around) + counts["trained_images"] * median(training)
        total += counts["tested_images"] * median(predicting) + preprocessed * PREPROCESS_SECONDS
    return total
