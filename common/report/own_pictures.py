"""The pictures of a user's own data: its images and classes, and what networks get wrong on them.

They follow the data's shape and the names of its classes, and show every network with finished runs on these
very pixels, whatever its recipe; of a network with several settings those with the most seeds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from common.analysis import pooling
from common.analysis.frames import Tables
from common.data.datasets import Dataset
from common.report import digit_figures, plots
from common.report.drawing import Material
from common.report.plots import Picture

EXAMPLES = 6


def planned(tables: Tables, dataset: Dataset) -> list[Picture]:
    """The pictures of the runs on `dataset`; none without such runs."""
    material = _material(tables, dataset)
    if not material.groups:
        return []
    pictures = [
        Picture("own-images.png", "Test images", f"The first {EXAMPLES}, each below its class.", _examples),
        Picture(
            "own-classes.png",
            "Class counts",
            "The number of training images of each class.",
            lambda material: digit_figures.class_counts(material.digits()),
        ),
        *(
            Picture(
                f"own-confusion-{model}.png",
                f"{model}: confusion matrix",
                "The colour scale excludes the diagonal.",
                partial(plots.confusion, model=model),
            )
            for model in plots.with_errors(material)
        ),
    ]
    if not material.errors.empty:
        caption = (
            "Over all frameworks and networks, each of which counts the same, whatever its number of runs. "
            "Below each image: its class, its most frequent wrong prediction, and the share of runs in which "
            "it was wrong."
        )
        title = "Test images misclassified most often"
        pictures.append(Picture("own-wrong.png", title, caption, plots.wrong_images))
    return pictures


def draw(tables: Tables, dataset: Dataset, folder: Path) -> list[Path]:
    """Draw every planned picture into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    material = _material(tables, dataset)
    return [plots.save(picture, material, folder) for picture in planned(tables, dataset)]


def _material(tables: Tables, dataset: Dataset) -> Material:
    finished = tables.runs[(tables.runs["dataset"] == dataset.name) & (tables.runs["status"] == "ok")]
    groups = pooling.groups(pooling.newest(finished))
    largest = pooling.largest_groups(groups)
    runs = {run for group in largest for run in group.runs["run"]}
    epochs, errors = (table[table["run"].isin(runs)] for table in (tables.epochs, tables.errors))
    return Material(largest, epochs, errors, dataset=dataset)


def _examples(material: Material) -> Figure:
    dataset = material.digits()
    captions = [dataset.classes[label] for label in dataset.test.labels[:EXAMPLES]]
    return digit_figures.row(dataset.test, captions, heading=f"Test images of {dataset.name}")
