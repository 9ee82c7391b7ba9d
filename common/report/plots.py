"""The list of figures, and their drawing: the same rows and digits give the same bytes.

The list follows from the rows alone (`planned`), so a report can link pictures without drawing them. Figures
show the zoo's own recipes only, and of a network with several settings those with the most seeds.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common import files
from common.analysis import pooling
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.analysis.rounding import first_steps
from common.data.datasets import Dataset
from common.frameworks import display_name
from common.report import curves, digit_figures
from common.report.curves import WALK_THROUGH, Material
from common.report.sources import RECORDS

DPI = 140
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

    It has a file name, a title (also the alternative text), and a caption on how to read it. Pictures that
    every network has share a `kind`.
    """

    file: str
    title: str
    caption: str
    draw: Callable[[Material], Figure]
    model: str | None = None
    kind: str | None = None


def planned(tables: Tables) -> list[Picture]:
    """The pictures of these tables, in the order of the pages; none without runs of the zoo's recipes."""
    material = _material(tables)
    if not material.groups:
        return []
    return [*_of_data(), *_of_training(material), *_of_errors(material)]


def incomplete(tables: Tables) -> dict[str, list[str]]:
    """The networks of the pages that lack their rows in epochs.csv or errors.csv, by table."""
    material = _material(tables)
    present = {"epochs.csv": material.with_epochs(), "errors.csv": _with_errors(material)}
    lacking = {name: [m for m in material.models() if m not in models] for name, models in present.items()}
    return {name: models for name, models in lacking.items() if models}


def draw(tables: Tables, dataset: Dataset, folder: Path) -> list[Path]:
    """Draw every planned picture into `folder`; returns their paths."""
    material = _material(tables, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    return [save(picture, material, folder) for picture in planned(tables)]


def save(picture: Picture, material: Material, folder: Path) -> Path:
    """Draw one picture as PNG, which is never half written."""
    buffer = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # ignores a user's own matplotlibrc
        matplotlib.rcParams.update(STYLE)
        figure = picture.draw(material)
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    path = folder / picture.file
    files.write(path, buffer.getvalue())
    return path


def _material(tables: Tables, dataset: Dataset | None = None) -> Material:
    groups = pooling.largest_groups(pooling.groups(pooling.judged_runs(tables.runs)))
    runs = {run for group in groups for run in group.runs["run"]}
    epochs, errors = (part[part["run"].isin(runs)] for part in (tables.epochs, tables.errors))
    return Material(
        groups, epochs, errors, [steps.comparisons[0] for steps in first_steps(tables.traces)], dataset
    )


def _with_errors(material: Material) -> list[str]:
    """The networks with rows in errors.csv in every framework, or no misclassified image."""
    present = set(material.errors["run"])

    def complete(group: Group) -> bool:
        return bool(present & set(group.runs["run"])) or bool((group.runs["accuracy"] >= 100).all())

    return [model for model in material.models() if all(map(complete, material.of(model)))]


def _of_data() -> list[Picture]:
    return [
        Picture("samples.png", "Sample digits", "The first six test images with their labels.", _samples),
        Picture(
            "class-counts.png",
            "Class counts",
            "The number of training images of each digit.",
            curves.classes,
        ),
    ]


def _of_training(material: Material) -> list[Picture]:
    loss = Picture(
        "loss-against-examples.png",
        f"{WALK_THROUGH}: loss against training images seen",
        "The first test point is before training. A training point is the mean over an epoch's batches, "
        "drawn at the middle of the epoch.",
        curves.loss_against_examples,
        WALK_THROUGH,
    )
    per_epoch = [
        Picture(
            "lr-per-epoch.png",
            "Learning rate per epoch",
            "The rate of each epoch's first step, as recorded. Both frameworks are given the same rates.",
            curves.learning_rate,
        ),
        Picture(
            "accuracy-per-epoch.png",
            "Test accuracy per epoch",
            "Thick lines are means over seeds, thin ones single runs; epoch 0 is before training.",
            curves.accuracy_per_epoch,
        ),
        Picture(
            "loss-per-epoch.png",
            "Loss per epoch",
            "Training loss is the mean over the epoch's batches, each before its own update, with dropout "
            "and augmentation on; test loss is measured after the epoch.",
            curves.loss_per_epoch,
        ),
    ]
    steps = Picture(
        "first-steps.png",
        "First steps: difference of the frameworks and self-baselines",
        "The largest difference of losses up to each step, of one seed, with the same dropout masks in both "
        "frameworks. Where the black line is not above the coloured ones, rounding explains the difference "
        "of the frameworks.",
        curves.first_steps,
    )
    return [
        Picture(
            "overview.png",
            "Test accuracy by network and framework",
            "Small points are seeds, large ones their mean, grey diamonds the sources' "
            "claims. The axis is logarithmic in the error.",
            curves.overview,
        ),
        Picture(
            "accuracy-against-parameters.png",
            "Test accuracy against parameters",
            "Means over seeds. Each network has its own recipe. Stars are published records, single runs "
            "selected on the test set: from the left, those with "
            + ", ".join(f"{record.parameters:,} parameters ({record.name})" for record in RECORDS)
            + ".",
            curves.accuracy_against_parameters,
        ),
        *(per_epoch if material.with_epochs() else []),
        *([loss] if WALK_THROUGH in material.with_epochs() else []),
        *([steps] if material.traces else []),
    ]


def _of_errors(material: Material) -> list[Picture]:
    models = _with_errors(material)
    if not models:
        return []
    pictures = [
        Picture(
            "predictions.png",
            "Predictions",
            "The same six test images with the predictions of a recorded run.",
            _predictions,
        )
    ]
    for model in models:
        pictures.append(
            Picture(
                f"confusion-{model}.png",
                f"{model}: confusion matrix",
                "The colour scale excludes the diagonal.",
                partial(_confusion, model=model),
                model,
                "confusion",
            )
        )
    misclassified = set(material.errors["run"])
    if misclassified:
        caption = (
            "Over all frameworks and networks. Below each image: its label, its most frequent wrong "
            "prediction, and in how many runs it was wrong."
        )
        pictures.append(
            Picture("wrong-digits.png", "Test images misclassified most often", caption, _wrong_digits)
        )
    for model in models:
        if example_run(material, model)[1] in misclassified:
            pictures.append(
                Picture(
                    f"wrong-{model}.png",
                    f"{model}: misclassified test images of one run",
                    "Below each image: its label and the prediction. Of very many only the first are shown.",
                    partial(_wrong_in_run, model=model),
                    model,
                    "wrong",
                )
            )
    return pictures


def example_run(material: Material, model: str) -> tuple[str, str]:
    """Description and id of the run with the smallest seed in the network's first framework."""
    group = material.of(model)[0]
    row = group.runs.sort_values(["seed", "run"]).iloc[0]
    return f"{model}, {display_name(group.framework)}, seed {row['seed']}", str(row["run"])


# Figures of digits


def _samples(material: Material) -> Figure:
    test = material.digits().test
    captions = [f"Ground truth: {label}" for label in test.labels[:6]]
    return digit_figures.grid(test, captions, heading="Test images")


def _predictions(material: Material) -> Figure:
    test = material.digits().test
    models = _with_errors(material)
    model = WALK_THROUGH if WALK_THROUGH in models else models[0]
    description, run = example_run(material, model)
    predicted = test.labels.astype(np.int64)
    errors = material.errors[material.errors["run"] == run]
    predicted[errors["index"].to_numpy()] = errors["predicted"].to_numpy()
    captions = [f"Prediction: {digit}" for digit in predicted[:6]]
    return digit_figures.grid(test, captions, heading=f"Predictions of {description}")


def _confusion(material: Material, *, model: str) -> Figure:
    labels = material.digits().test.labels
    matrices = {}
    for group in material.of(model):
        errors = material.errors[material.errors["run"].isin(set(group.runs["run"]))]
        runs = len(group.runs)
        matrices[display_name(group.framework)] = (
            digit_figures.confusion_matrix(labels, errors, runs=runs),
            runs,
        )
    return digit_figures.confusion(matrices, model=model)


def _wrong_digits(material: Material) -> Figure:
    runs = sum(len(group.runs) for group in material.groups)
    return digit_figures.most_often_wrong(material.digits().test, material.errors, runs=runs)


def _wrong_in_run(material: Material, *, model: str) -> Figure:
    description, run = example_run(material, model)
    errors = material.errors[material.errors["run"] == run]
    return digit_figures.wrong_in_run(material.digits().test, errors, run=description)
