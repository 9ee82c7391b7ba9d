"""Rows in, deterministic figures out: the same rows and digits give the same bytes.

What is drawn follows from the rows alone (`planned`), so a report can name the pictures without drawing them.
Only the zoo's own recipes are shown; where a network ran in several settings, those with the most runs.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common.analysis import pooling
from common.analysis.frames import Tables
from common.analysis.rounding import trace_comparisons
from common.data.datasets import Dataset
from common.frameworks import display_name
from common.report import curves, digit_figures
from common.report.curves import WALK_THROUGH, Material

DPI = 140
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has the same one
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
    """A figure to be: its file name, its title (also the alternative text), a sentence on how to read it."""

    file: str
    title: str
    caption: str
    draw: Callable[[Material], Figure]
    model: str | None = None
    kind: str | None = None  # of pictures that there is one of for each network


def planned(tables: Tables) -> list[Picture]:
    """The pictures that these tables give, in the order of a walk through them; none without main runs."""
    material = _material(tables)
    if not material.groups:
        return []
    return [*_of_data(), *_of_training(material), *_of_mistakes(material)]


def draw(tables: Tables, dataset: Dataset, folder: Path) -> list[Path]:
    """Draw every planned picture into `folder`, each written whole or not at all. Returns their paths."""
    material = _material(tables, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    return [save(picture, material, folder) for picture in planned(tables)]


def save(picture: Picture, material: Material, folder: Path) -> Path:
    """Draw one picture as PNG under a temporary name, then rename it."""
    buffer = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc must not show
        matplotlib.rcParams.update(STYLE)
        figure = picture.draw(material)
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    path = folder / picture.file
    temporary = folder / f".{picture.file}.{os.getpid()}"
    temporary.write_bytes(buffer.getvalue())
    os.replace(temporary, path)
    return path


def _material(tables: Tables, dataset: Dataset | None = None) -> Material:
    found = pooling.largest_groups(pooling.groups(pooling.zoo_runs(tables.runs)))
    known = {run for group in found for run in group.runs["run"]}
    epochs, errors = (part[part["run"].isin(known)] for part in (tables.epochs, tables.errors))
    return Material(found, epochs, errors, list(trace_comparisons(tables.traces)), dataset)


def _of_data() -> list[Picture]:
    return [
        Picture("samples.png", "Sample digits", "The first six test images with their labels.", _samples),
        Picture(
            "class-counts.png",
            "Class spread",
            "How often each digit occurs in the training set.",
            curves.classes,
        ),
    ]


def _of_training(material: Material) -> list[Picture]:
    seen = Picture(
        "loss-against-examples.png",
        f"{WALK_THROUGH}: loss against examples seen",
        "The first test point is before any training. A training point is the mean over an epoch's batches, "
        "drawn at the middle of the epoch.",
        curves.loss_against_examples,
        WALK_THROUGH,
    )
    traced = Picture(
        "first-steps.png",
        "First steps, framework against framework and against rounding",
        "The largest difference of losses up to each step, dropout masks given to both. Where the black line "
        "keeps to the coloured ones, rounding is all that parts the frameworks.",
        curves.first_steps,
    )
    return [
        Picture(
            "overview.png",
            "Test accuracy by network and framework",
            "Small points are runs with different seeds, large ones their mean, grey diamonds the sources' "
            "claims. The axis is logarithmic in the error.",
            curves.overview,
        ),
        Picture(
            "accuracy-against-parameters.png",
            "Test accuracy against parameters",
            "Means over the runs. Each network has its own recipe. Stars are published records, single runs "
            "chosen on the test set.",
            curves.accuracy_against_parameters,
        ),
        Picture(
            "lr-per-epoch.png",
            "Learning rate per epoch",
            "The rate of each epoch's first step, as recorded; both frameworks are handed the same one.",
            curves.learning_rate,
        ),
        Picture(
            "accuracy-per-epoch.png",
            "Test accuracy per epoch",
            "Thick lines are means, thin ones single runs; epoch 0 is before training.",
            curves.accuracy_per_epoch,
        ),
        Picture(
            "loss-per-epoch.png",
            "Loss per epoch",
            "Training loss is the mean over the epoch's batches while the weights move, with dropout and "
            "augmentation on; test loss is measured after the epoch.",
            curves.loss_per_epoch,
        ),
        *([seen] if material.of(WALK_THROUGH) else []),
        *([traced] if material.traced else []),
    ]


def _of_mistakes(material: Material) -> list[Picture]:
    pictures = [
        Picture(
            "predictions.png",
            "Predictions",
            "The same six test images with what a recorded run says they are.",
            _predictions,
        )
    ]
    for model in material.models():
        pictures.append(
            Picture(
                f"confusion-{model}.png",
                f"{model}: confusion matrix",
                "Colour leaves out the diagonal.",
                partial(_confusion, model=model),
                model,
                "confusion",
            )
        )
    wrong = set(material.errors["run"])
    if wrong:
        caption = (
            "By all frameworks and networks; below each its label, what was said most often, and how often."
        )
        pictures.append(Picture("wrong-digits.png", "Digits wrong most often", caption, _wrong_digits))
    for model in material.models():
        if one_run(material, model)[1] in wrong:
            pictures.append(
                Picture(
                    f"wrong-{model}.png",
                    f"{model}: every wrong test image of one run",
                    "Below each its label and what was predicted; of very many the first.",
                    partial(_wrong_in_run, model=model),
                    model,
                    "wrong",
                )
            )
    return pictures


def one_run(material: Material, model: str) -> tuple[str, str]:
    """The run that stands for `model`: smallest seed of its first framework; its description and its id."""
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
    run, known = one_run(material, WALK_THROUGH if material.of(WALK_THROUGH) else material.models()[0])
    predicted = test.labels.astype(np.int64)
    errors = material.errors[material.errors["run"] == known]
    predicted[errors["index"].to_numpy()] = errors["predicted"].to_numpy()
    captions = [f"Prediction: {digit}" for digit in predicted[:6]]
    return digit_figures.grid(test, captions, heading=f"Predictions of {run}")


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
    run, known = one_run(material, model)
    errors = material.errors[material.errors["run"] == known]
    return digit_figures.wrong_in_run(material.digits().test, errors, run=run)
