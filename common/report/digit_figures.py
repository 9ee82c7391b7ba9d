"""Figures made of digits, and of which were taken for which: from recorded errors, no framework needed.

Every function returns a new Figure. Images are uint8 (N, 28, 28), labels uint8 (N,), errors the rows of
errors.csv (run, index, predicted) of the runs concerned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.data.datasets import Digits

WIDTH = 10.0
"""Inches: at GitHub's page width a point is then a little more than a pixel."""

_SIDE = 28
_CLASSES = 10


def grid(digits: Digits, captions: Sequence[str], *, heading: str, columns: int = 3) -> Figure:
    """The first len(captions) images, `columns` to a row, each under its caption."""
    lines = -(-len(captions) // columns)
    figure = Figure(figsize=(WIDTH * 0.7, 0.5 + 2.5 * lines), layout="constrained")
    figure.suptitle(heading)
    for place, caption in enumerate(captions):
        axes = figure.add_subplot(lines, columns, place + 1)
        axes.imshow(digits.images[place], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title(caption)
        axes.set_axis_off()
    return figure


def mosaic(
    images: NDArray[np.uint8], captions: Sequence[str], *, heading: str, columns: int, lines: int = 1
) -> Figure:
    """All of `images`, `columns` to a row, with captions of `lines` lines below them.

    One image drawn once: hundreds of axes would take minutes.
    """
    rows = max(1, -(-len(images) // columns))
    pitch = WIDTH / columns  # inches from one digit to the next
    image_share = 0.86
    step = _SIDE / image_share
    text = lines * 0.16 * step / pitch
    height = _SIDE + text + 0.5 * (step - _SIDE)
    figure = Figure(figsize=(WIDTH, 0.5 + rows * height / step * pitch))
    figure.suptitle(heading, y=1 - 0.08 / figure.get_figheight(), va="top")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1 - 0.45 / figure.get_figheight()))
    axes.set_axis_off()
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = place % columns * step + (step - _SIDE) / 2
        top = place // columns * height
        axes.imshow(
            image,
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest",
            extent=(left, left + _SIDE, top + _SIDE, top),
        )
        axes.text(left + _SIDE / 2, top + _SIDE + text / 2, caption, ha="center", va="center", fontsize=8.5)
    axes.set_xlim(0, columns * step)
    axes.set_ylim(rows * height, 0)
    axes.set_aspect("auto")
    return figure


def most_often_wrong(digits: Digits, errors: pd.DataFrame, *, runs: int, count: int = 40) -> Figure:
    """The `count` test images that most of the `runs` runs got wrong, with what was said most often."""
    votes = errors.groupby("index")["predicted"]
    times = votes.size().reset_index(name="times").sort_values(["times", "index"], ascending=[False, True])
    chosen = times.head(count)
    index = chosen["index"].to_numpy()
    said = [_commonest(votes.get_group(place)) for place in index]
    captions = [
        f"true {digits.labels[place]}, said {digit}\n{wrong} of {runs} runs"
        for place, digit, wrong in zip(index, said, chosen["times"], strict=True)
    ]
    heading = f"The {len(captions)} test images wrong most often, over {runs} runs of all networks"
    return mosaic(digits.images[index], captions, heading=heading, columns=10, lines=2)


def _commonest(predicted: pd.Series[int]) -> int:
    values, counts = np.unique(predicted.to_numpy(), return_counts=True)
    return int(values[counts.argmax()])


def wrong_in_run(digits: Digits, errors: pd.DataFrame, *, run: str, most: int = 420) -> Figure:
    """Every test image that one run got wrong, in the test set's order; `run` names it in the heading.

    Of more than `most` the first ones: a network that is mostly wrong would fill metres of paper.
    """
    ordered = errors.sort_values("index").head(most)
    index = ordered["index"].to_numpy()
    captions = [
        f"{digits.labels[place]} → {digit}" for place, digit in zip(index, ordered["predicted"], strict=True)
    ]
    which = "All" if len(index) == len(errors) else f"The first {len(index)} of"
    heading = f"{which} {len(errors):,} wrong test images of {run} (true → predicted)"
    return mosaic(digits.images[index], captions, heading=heading, columns=14)


def confusion_matrix(labels: NDArray[np.uint8], errors: pd.DataFrame, *, runs: int) -> NDArray[np.float64]:
    """Mean number of test images a run by true (row) and predicted (column) digit, shape (10, 11).

    The last column counts predictions that are no digit: a network with more than ten logits can make them.
    """
    total = np.zeros((_CLASSES, _CLASSES + 1))
    true = labels[errors["index"].to_numpy()]
    predicted = np.minimum(errors["predicted"].to_numpy(), _CLASSES)
    np.add.at(total, (true, predicted), 1)
    right = runs * np.bincount(labels, minlength=_CLASSES) - total.sum(axis=1)
    total[np.arange(_CLASSES), np.arange(_CLASSES)] += right
    return total / runs


def confusion(matrices: Mapping[str, tuple[NDArray[np.float64], int]], *, model: str) -> Figure:
    """Confusion matrices side by side: by framework title, the matrix and the number of runs in it."""
    figure = Figure(figsize=(max(5.5, 5.2 * len(matrices)), 5.9), layout="constrained")
    figure.suptitle(f"{model}: confusion matrix on the test set, images per run")
    scale = max(float(_mistakes(matrix).max()) for matrix, _ in matrices.values())
    no_digit = any(matrix[:, _CLASSES].any() for matrix, _ in matrices.values())
    for place, (framework, (matrix, runs)) in enumerate(matrices.items()):
        axes = figure.add_subplot(1, len(matrices), place + 1)
        shown = matrix if no_digit else matrix[:, :_CLASSES]
        axes.imshow(_mistakes(shown), cmap="Oranges", vmin=0, vmax=max(scale, 1.0), interpolation="nearest")
        axes.set_title(f"{framework}, " + ("1 run" if runs == 1 else f"mean of {runs} runs"))
        axes.set_xlabel("predicted digit")
        axes.set_ylabel("true digit")
        names = [*map(str, range(_CLASSES)), *(["none"] if no_digit else [])]
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(_CLASSES))
        axes.tick_params(length=0)
        axes.grid(visible=False)
        _write_counts(axes, shown, dark=0.6 * scale)
    return figure


def _mistakes(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the diagonal, which would drown all else."""
    return matrix * (1 - np.eye(*matrix.shape))


def _write_counts(axes: Axes, matrix: NDArray[np.float64], *, dark: float) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        if value == 0:
            continue
        right = row == column
        text = f"{value:.0f}" if right or value == round(value) or value >= 10 else f"{value:.1f}"
        colour = "black" if right or value < dark else "white"
        weight = "bold" if right else "normal"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, fontweight=weight)
