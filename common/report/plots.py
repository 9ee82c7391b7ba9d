"""The list of figures, and their drawing: the same rows and digits give the same bytes.

The list follows from the rows alone (`planned`), so a report can link pictures without drawing them. Figures
show the zoo's own recipes only, and of a network with several settings those with the most seeds.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from common import files
from common.analysis import pooling
from common.analysis.answer import Answer, answer_of
from common.analysis.frames import Tables
from common.analysis.mistakes import Cost, costs
from common.analysis.pooling import Group
from common.analysis.rounding import first_steps
from common.analysis.significance import MARGIN
from common.data.datasets import Dataset
from common.frameworks import display_name
from common.model.zoo import ZOO
from common.report import answer_figure, digit_figures, epochs, mistake_figure, mistake_tables, overview
from common.report import first_steps as steps_figure
from common.report.drawing import Material
from common.report.epochs import WALK_THROUGH
from common.report.sources import RECORDS, link

EVERY_WRONG_IMAGE = "under-5k"
"""The network whose source shows every misclassified image of a run; its confusion matrix is shown too."""

ANSWER = "answer.png"
"""The figure of the README; the others are in the gallery."""

DPI = 140
COLOURS = 256
"""A palette makes a file a third as large as one of 24 bits a pixel, and no difference that is seen."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # part of matplotlib, so every machine has the same one
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}


@dataclass(frozen=True)
class Picture:
    """A planned figure.

    It has a file name, a title (also the alternative text), and a caption on how to read it.
    """

    file: str
    title: str
    caption: str
    draw: Callable[[Material], Figure]


def planned(tables: Tables) -> list[Picture]:
    """The pictures of these tables, in the order of the pages; none without runs of the zoo's recipes."""
    material = _material(tables)
    if not material.groups:
        return []
    return [
        *_of_answer(answer_of(tables)),
        *_of_data(),
        *_of_training(material),
        *_of_errors(material),
        *_of_mistakes(costs(tables.mistakes)),
    ]


def incomplete(tables: Tables) -> dict[str, list[str]]:
    """The networks of the pages that lack their rows in epochs.csv or errors.csv, by table."""
    material = _material(tables)
    present = {"epochs.csv": material.with_epochs(), "errors.csv": with_errors(material)}
    lacking = {name: [m for m in material.models() if m not in models] for name, models in present.items()}
    return {name: models for name, models in lacking.items() if models}


def draw(tables: Tables, dataset: Dataset, folder: Path) -> list[Path]:
    """Draw every planned picture into `folder`; returns their paths."""
    material = _material(tables, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    return [save(picture, material, folder) for picture in planned(tables)]


def save(picture: Picture, material: Material, folder: Path) -> Path:
    """Draw one picture as PNG; its path."""
    path = folder / picture.file
    write_png(path, partial(picture.draw, material))
    return path


def write_png(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a figure as a PNG of few colours, which is never half written."""
    buffer = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # ignores a user's own matplotlibrc
        matplotlib.rcParams.update(STYLE)
        figure = draw()
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    files.write(path, _with_palette(buffer.getvalue()))


def _with_palette(png: bytes) -> bytes:
    """The picture with COLOURS colours."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
            buffer, format="png", optimize=True
        )
    return buffer.getvalue()


def _material(tables: Tables, dataset: Dataset | None = None) -> Material:
    groups = pooling.largest_groups(pooling.groups(pooling.judged_runs(tables.runs)))
    runs = {run for group in groups for run in group.runs["run"]}
    epochs, errors = (part[part["run"].isin(runs)] for part in (tables.epochs, tables.errors))
    steps = [network for network in first_steps(tables.traces) if ZOO[network.model].judged]
    return Material(groups, epochs, errors, steps, dataset)


def with_errors(material: Material) -> list[str]:
    """The networks with rows in errors.csv in every framework, or no misclassified image."""
    present = set(material.errors["run"])

    def complete(group: Group) -> bool:
        return bool(present & set(group.runs["run"])) or bool((group.runs["accuracy"] >= 100).all())

    return [model for model in material.models() if all(map(complete, material.of(model)))]


def _of_answer(answer: Answer) -> list[Picture]:
    if not answer.pairs:
        return []
    return [
        Picture(
            ANSWER,
            "Accuracy, training and prediction speed, memory and start-up by network",
            "Points are means with 95 % confidence intervals, in the colour of the framework that is better; "
            "an arrow: the interval is longer than the axis; hollow: too noisy for a ratio; no "
            "point: not measured. "
            f"Grey: the margin of ±{MARGIN:g} points within which two accuracies count as equivalent.",
            lambda _: answer_figure.figure(answer),
        )
    ]


def _of_data() -> list[Picture]:
    return [
        Picture(
            "class-counts.png",
            "Class counts",
            "The number of training images of each digit.",
            lambda material: digit_figures.class_counts(material.digits()),
        )
    ]


def _of_training(material: Material) -> list[Picture]:
    return [
        Picture(
            "overview.png",
            "Test accuracy by network and framework",
            "After the last epoch: the mean over seeds with its 95 % confidence interval, cut where it "
            "leaves the axis; faint points are the seeds. A claim of an accuracy on training images is left "
            "out. The axis is logarithmic in the error.",
            overview.overview,
        ),
        Picture(
            "accuracy-against-parameters.png",
            "Test accuracy against parameters",
            "The mean over seeds with its 95 % confidence interval, cut where it leaves the axis. Each "
            "network has its own recipe. Stars: "
            + ", ".join(
                f"{record.parameters:,} parameters ({link(record.name, record.address)})"
                for record in RECORDS
            )
            + ".",
            overview.accuracy_against_parameters,
        ),
        *_of_epochs(material),
        *_of_first_steps(material),
    ]


def _of_epochs(material: Material) -> list[Picture]:
    pictures = []
    recorded, schedules = material.with_epochs(), epochs.with_schedules(material)
    constant = [f"`{model}`" for model in recorded if model not in schedules]
    if schedules:
        caption = (
            "The recorded rates are those of each epoch's first step; both frameworks are given the same."
        )
        if constant:
            caption += f" Constant rate: {', '.join(constant)}."
        pictures.append(Picture("lr-per-epoch.png", "Learning rate per epoch", caption, epochs.learning_rate))
    curves = epochs.with_curves(material)
    short = [f"`{model}`" for model in recorded if model not in curves]
    if curves:
        seeds = "Geometric mean over seeds with its 95 % confidence interval"
        left_out = f" Trained for one epoch only, and left out: {', '.join(short)}." if short else ""
        pictures += [
            Picture(
                "accuracy-per-epoch.png",
                "Test accuracy per epoch",
                f"{seeds}, both of the error, cut where it leaves the axes.{left_out}",
                epochs.accuracy_per_epoch,
            ),
            Picture(
                "loss-per-epoch.png",
                "Loss per epoch",
                f"{seeds}. Training loss is the mean over the epoch's batches, each before its own update, "
                "with dropout and augmentation on; test loss is measured after the epoch.",
                epochs.loss_per_epoch,
            ),
        ]
    if WALK_THROUGH in recorded:
        pictures.append(
            Picture(
                "loss-against-examples.png",
                f"{WALK_THROUGH}: loss against training images seen",
                "The first test point is before training. A training point is the mean over an epoch's "
                "batches, drawn at the middle of the epoch. Error bars, most of them smaller than the "
                "points, are 95 % confidence intervals of the geometric mean over seeds.",
                epochs.loss_against_examples,
            )
        )
    return pictures


def _of_first_steps(material: Material) -> list[Picture]:
    if not material.first_steps:
        return []
    return [
        Picture(
            "first-steps.png",
            "First steps: difference of the frameworks and self-baselines",
            "Both frameworks have the same weights, batches and dropout masks. *Rounding alone* is the "
            "self-baseline: the difference of a framework from itself, started one unit in the last place "
            "away. Where the black point is not to the right of the coloured ones, rounding explains the "
            "difference of the frameworks. Of several seeds, the faint points, the others are the median; "
            "lines reach from the lowest to the highest.",
            steps_figure.first_steps,
        )
    ]


def _of_errors(material: Material) -> list[Picture]:
    models = with_errors(material)
    if not models:
        return []
    confused = EVERY_WRONG_IMAGE if EVERY_WRONG_IMAGE in models else models[0]
    pictures = [
        Picture(
            "predictions.png",
            "Sample digits and predictions",
            "The first six test images with their labels and the predictions of a recorded run.",
            _predictions,
        ),
        Picture(
            f"confusion-{confused}.png",
            f"{confused}: confusion matrix",
            "The colour scale excludes the diagonal.",
            partial(confusion, model=confused),
        ),
    ]
    misclassified = set(material.errors["run"])
    if misclassified:
        caption = (
            "Over all frameworks and networks, each of which counts the same, whatever its number of runs. "
            "Below each image: its label, its most frequent wrong prediction, and the share of runs in which "
            "it was wrong. `python -m common.demo` shows those of every network."
        )
        pictures.append(
            Picture("wrong-digits.png", "Test images misclassified most often", caption, wrong_images)
        )
    model = EVERY_WRONG_IMAGE
    if model in models and example_run(material, model)[1] in misclassified:
        pictures.append(
            Picture(
                f"wrong-{model}.png",
                f"{model}: misclassified test images of one run",
                "Below each image: its label and the prediction.",
                partial(_wrong_in_run, model=model),
            )
        )
    return pictures


def _of_mistakes(found: Sequence[Cost]) -> list[Picture]:
    if not found:
        return []
    return [
        Picture(
            mistake_tables.PICTURE,
            mistake_tables.TITLE,
            "Bars are means over seeds, black lines simultaneous 95 % confidence intervals. A forward check "
            "compares the outputs of both programs with the same weights on one batch. The axis is linear "
            f"up to ±{MARGIN:g} points, in grey, and logarithmic beyond.",
            lambda _: mistake_figure.figure(found),
        )
    ]


def example_run(material: Material, model: str) -> tuple[str, str]:
    """Description and id of the run with the smallest seed in the network's first framework."""
    group = material.of(model)[0]
    row = group.runs.sort_values(["seed", "run"]).iloc[0]
    return f"{model}, {display_name(group.framework)}, seed {row['seed']}", str(row["run"])


# Figures of digits


def _predictions(material: Material) -> Figure:
    test = material.digits().test
    models = with_errors(material)
    model = WALK_THROUGH if WALK_THROUGH in models else models[0]
    description, run = example_run(material, model)
    predicted = test.labels.astype(np.int64)
    errors = material.errors[material.errors["run"] == run]
    predicted[errors["index"].to_numpy()] = errors["predicted"].to_numpy()
    captions = [
        f"label {label}, predicted {digit}"
        for label, digit in zip(test.labels[:6], predicted[:6], strict=True)
    ]
    return digit_figures.row(test, captions, heading=f"Predictions of {description}")


def confusion(material: Material, *, model: str) -> Figure:
    """The confusion matrices of a network, one for each framework."""
    labels, classes = material.digits().test.labels, material.digits().classes
    matrices = {}
    for group in material.of(model):
        errors = material.errors[material.errors["run"].isin(set(group.runs["run"]))]
        runs = len(group.runs)
        matrices[display_name(group.framework)] = (
            digit_figures.confusion_matrix(labels, errors, runs=runs, classes=len(classes)),
            runs,
        )
    return digit_figures.confusion(matrices, model=model, classes=classes)


def wrong_images(material: Material) -> Figure:
    """The test images that the networks misclassify most often."""
    shares = {
        run: 1 / (len(material.groups) * len(group.runs))
        for group in material.groups
        for run in group.runs["run"]
    }
    errors = material.errors.assign(share=material.errors["run"].map(shares))
    dataset = material.digits()
    return digit_figures.most_often_wrong(dataset.test, errors, classes=dataset.classes)


def _wrong_in_run(material: Material, *, model: str) -> Figure:
    description, run = example_run(material, model)
    errors = material.errors[material.errors["run"] == run]
    return digit_figures.wrong_in_run(material.digits().test, errors, run=description)
