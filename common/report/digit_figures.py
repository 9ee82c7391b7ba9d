"""Figures of images, of misclassified ones, and confusion matrices, from the recorded errors.

Functions return a new Figure. Images and labels are those of a `Digits`, `classes` the names of the labels,
errors the rows (run, index, predicted) of errors.csv that belong to the runs of the figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.data import datasets
from common.data.datasets import DIGITS, Dataset, Digits, Labels

WIDTH = 10.0
"""Inches: at GitHub's page width a point is then a little more than a pixel."""

NAMED = 30
"""Figures of more classes have no names and no numbers for each of them: there is no room."""


def class_counts(dataset: Dataset) -> Figure:
    """The number of training images of each class."""
    counts = datasets.class_counts(dataset.train.labels, len(dataset.classes))
    noun = "digit" if dataset.classes == DIGITS else "class"
    figure = Figure(figsize=(WIDTH * 0.8, 3.4), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.bar(range(len(counts)), counts, color="#707070")
    if len(counts) <= NAMED:
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=9)
        axes.set_xticks(range(len(counts)), dataset.classes)
        axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.margins(y=0.1)
    axes.set(xlabel=noun, ylabel="training images")
    axes.set_title(f"Training images of each {noun}", fontsize=12)
    return figure


def row(digits: Digits, captions: Sequence[str], *, heading: str) -> Figure:
    """The first len(captions) images in a row, each under its caption."""
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    figure.suptitle(heading)
    for place, caption in enumerate(captions):
        axes = figure.add_subplot(1, len(captions), place + 1)
        axes.imshow(digits.images[place], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(caption)
        axes.set_axis_off()
    return figure


def mosaic(
    images: NDArray[np.uint8], captions: Sequence[str], *, heading: str, columns: int, lines: int = 1
) -> Figure:
    """All of `images`, `columns` to a row, with captions of `lines` lines below them.

    They share one pair of axes: hundreds of axes would take minutes.
    """
    rows = max(1, -(-len(images) // columns))
    pitch = WIDTH / columns  # inches between the left edges of neighbouring images
    image_share = 0.86
    tall, wide = images.shape[1:3]
    step = wide / image_share
    text = lines * 0.16 * step / pitch
    height = tall + text + 0.5 * (step - wide)
    figure = Figure(figsize=(WIDTH, 0.5 + rows * height / step * pitch))
    figure.suptitle(heading, y=1 - 0.08 / figure.get_figheight(), va="top")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1 - 0.45 / figure.get_figheight()))
    axes.set_axis_off()
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = place % columns * step + (step - wide) / 2
        top = place // columns * height
        axes.imshow(
            image,
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest",
            extent=(left, left + wide, top + tall, top),
        )
        axes.text(left + wide / 2, top + tall + text / 2, caption, ha="center", va="center", fontsize=8.5)
    axes.set_xlim(0, columns * step)
    axes.set_ylim(rows * height, 0)
    axes.set_aspect("auto")
    return figure


def most_often_wrong(
    digits: Digits, errors: pd.DataFrame, *, classes: Sequence[str] = DIGITS, count: int = 40
) -> Figure:
    """The `count` test images that are misclassified most often, with the commonest prediction.

    `errors` has a column `share`: the part of all runs that a run counts for.
    """
    votes = errors.groupby(["index", "predicted"])["share"].sum().reset_index()
    votes = votes.sort_values(["share", "predicted"], ascending=[False, True], kind="stable")
    commonest = votes.drop_duplicates("index").set_index("index")["predicted"]
    shares = votes.groupby("index")["share"].sum().round(9)  # sums in another order are equal
    worst = shares.sort_index().sort_values(ascending=False, kind="stable").head(count)
    index = worst.index.to_numpy()
    captions = [
        f"{_name(digits.labels[image], classes)} → {_name(commonest.loc[image], classes)}"
        f"\n{100 * share:.0f} %"
        for image, share in zip(index, worst, strict=True)
    ]
    heading = f"The {len(captions)} test images misclassified most often (true → predicted, share of runs)"
    return mosaic(digits.images[index], captions, heading=heading, columns=10, lines=2)


def wrong_in_run(
    digits: Digits, errors: pd.DataFrame, *, run: str, classes: Sequence[str] = DIGITS, most: int = 420
) -> Figure:
    """Every test image that one run misclassified, in the test set's order; the heading names the run.

    At most `most` images are shown, because some networks misclassify thousands.
    """
    ordered = errors.sort_values("index").head(most)
    index = ordered["index"].to_numpy()
    captions = [
        f"{_name(digits.labels[place], classes)} → {_name(predicted, classes)}"
        for place, predicted in zip(index, ordered["predicted"], strict=True)
    ]
    which = "All" if len(index) == len(errors) else f"The first {len(index)} of"
    heading = f"{which} {len(errors):,} misclassified test images of {run} (true → predicted)"
    return mosaic(digits.images[index], captions, heading=heading, columns=14)


def confusion_matrix(
    labels: Labels, errors: pd.DataFrame, *, runs: int, classes: int = len(DIGITS)
) -> NDArray[np.float64]:
    """Mean number of test images per run by true (row) and predicted (column) class: (classes, classes + 1).

    The last column counts predictions of no class, which networks with more logits than classes can make.
    """
    total = np.zeros((classes, classes + 1))
    true = labels[errors["index"].to_numpy()]
    predicted = np.minimum(errors["predicted"].to_numpy(), classes)
    np.add.at(total, (true, predicted), 1)
    right = runs * np.bincount(labels, minlength=classes) - total.sum(axis=1)
    total[np.arange(classes), np.arange(classes)] += right
    return total / runs


def confusion(
    matrices: Mapping[str, tuple[NDArray[np.float64], int]], *, model: str, classes: Sequence[str] = DIGITS
) -> Figure:
    """Confusion matrices side by side; `matrices` has matrix and number of runs by framework title."""
    count, noun = len(classes), "digit" if tuple(classes) == DIGITS else "class"
    figure = Figure(figsize=(max(5.5, WIDTH / 2 * len(matrices)), 5.6), layout="constrained")
    figure.suptitle(f"{model}: confusion matrix on the test set, images per run")
    scale = max(float(_off_diagonal(matrix).max()) for matrix, _ in matrices.values())
    no_class = any(matrix[:, count].any() for matrix, _ in matrices.values())
    for place, (framework, (matrix, runs)) in enumerate(matrices.items()):
        axes = figure.add_subplot(1, len(matrices), place + 1)
        shown = matrix if no_class else matrix[:, :count]
        axes.imshow(
            _off_diagonal(shown), cmap="Oranges", vmin=0, vmax=max(scale, 1.0), interpolation="nearest"
        )
        axes.set_title(f"{framework}, " + ("1 run" if runs == 1 else f"mean of {runs} runs"))
        axes.set_xlabel(f"predicted {noun}")
        axes.set_ylabel(f"true {noun}")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        if count > NAMED:
            continue
        names = [*classes, *(["none"] if no_class else [])]
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 4 else 0)
        axes.set_yticks(range(count), classes)
        _write_counts(axes, shown, dark=0.6 * scale)
    return figure


def _name(label: int, classes: Sequence[str]) -> str:
    """The name of a class; the number of an output that no class has."""
    return classes[label] if label < len(classes) else str(label)


def _off_diagonal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix without its diagonal, whose numbers would dominate the colour scale."""
    return matrix * (1 - np.eye(*matrix.shape))


def _write_counts(axes: Axes, matrix: NDArray[np.float64], *, dark: float) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        if value < 0.05:  # which would read 0.0
            continue
        right = row == column
        text = f"{value:.0f}" if right or value >= 10 else f"{value:.1f}"
        colour = "black" if right or value < dark else "white"
        weight = "bold" if right else "normal"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, fontweight=weight)
