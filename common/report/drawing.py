"""Parts of several figures: their data, and the colours, axes, bands and legends that they share.

A framework has one colour and one marker in every figure, and the networks have the zoo's order. Accuracies
have a logarithmic axis of the error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from common.analysis import pooling
from common.analysis.pooling import Group
from common.analysis.rounding import FirstSteps
from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS, display_name

# Colours of Okabe and Ito's palette, as the frameworks' own.
OTHERS = (("#009E73", "^"), ("#CC79A7", "v"), ("#E69F00", "P"))
GREY = "#707070"
LEAST_ERROR = 0.005
"""Percent: half of one image in 10,000, the error of a run without any on a logarithmic axis."""


@dataclass(frozen=True, eq=False)
class Material:
    """The data of all figures: one group for each network and framework, their epochs and errors, comparisons
    of first steps, and the data set."""

    groups: list[Group]
    epochs: pd.DataFrame
    errors: pd.DataFrame
    first_steps: Sequence[FirstSteps] = ()
    dataset: Dataset | None = None

    def of(self, model: str) -> list[Group]:
        """The groups of one network."""
        return [group for group in self.groups if group.model == model]

    def models(self) -> list[str]:
        """The networks, in the zoo's order."""
        return list(dict.fromkeys(group.model for group in self.groups))

    def with_epochs(self) -> list[str]:
        """The networks with rows in epochs.csv in every framework: a table from elsewhere may have come
        without."""
        present = set(self.epochs["run"])
        return [m for m in self.models() if all(present & set(group.runs["run"]) for group in self.of(m))]

    def frameworks(self) -> list[str]:
        """The frameworks, in the order of FRAMEWORKS."""
        names = {group.framework for group in self.groups}
        return sorted(names, key=lambda name: pooling.sort_key(name, FRAMEWORKS))

    def digits(self) -> Dataset:
        """The data set. Raises ValueError if there is none."""
        if self.dataset is None:
            raise ValueError("This figure requires the data set.")
        return self.dataset


def look(framework: str, present: Iterable[str]) -> tuple[str, str]:
    """Colour and marker of a framework; frameworks not in FRAMEWORKS have those of OTHERS, by alphabet."""
    name = framework.lower()
    if name in FRAMEWORKS:
        return FRAMEWORKS[name].colour, FRAMEWORKS[name].marker
    unknown = sorted(other for other in present if other.lower() not in FRAMEWORKS)
    return OTHERS[unknown.index(framework) % len(OTHERS)]


def marking(framework: str, present: Sequence[str], *, size: float = 9) -> dict[str, Any]:
    """Colour and marker of points that may coincide with another framework's: the first one's are small and
    filled, the others' of `size` points and hollow."""
    colour, marker = look(framework, present)
    first = framework == present[0]
    return {
        "color": colour,
        "marker": marker,
        "markersize": size / 1.8 if first else size,
        "markerfacecolor": colour if first else "none",
        "markeredgewidth": 0 if first else 1.6,
    }


def error(accuracy: pd.Series[float]) -> pd.Series[float]:
    """Error in percent, at least LEAST_ERROR."""
    return (100 - accuracy).clip(lower=LEAST_ERROR)


def accuracy_axis(
    axes: Axes, errors: Iterable[float], *, which: Literal["x", "y"], fine_up_to: float = 40
) -> None:
    """A logarithmic axis of `errors` in percent, labelled with accuracies; better is up or to the right.

    The labels are close where the highest error is at most `fine_up_to` times the lowest.
    """
    values = list(errors)
    low, high = min(values) / 1.2, min(max(values) * 1.2, 100.0)
    steps = [90, 80, 50, 20, 10, 5, 3, 2, 1.5, 1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    if high / low > fine_up_to:
        steps = [90, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]
    if which == "x":
        axes.set(xscale="log", xlim=(high, low))
    else:
        axes.set(yscale="log", ylim=(high, low))
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(steps))
    axis.set_major_formatter(FixedFormatter([f"{100 - step:g}" for step in steps]))
    axis.set_minor_locator(NullLocator())


def width(framework: str, present: Sequence[str]) -> float:
    """Width of lines that may coincide with another framework's, which is drawn over the first one's."""
    return 3.2 if framework == present[0] else 1.4


def single(across: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, `across` by `height` inches."""
    figure = Figure(figsize=(across, height), layout="constrained")
    return figure, figure.add_subplot()


def band(axes: Axes, intervals: pd.DataFrame, colour: str, *, width: float, style: str = "-") -> None:
    """The means of `intervals` (mean, low, high by x) as a line, and the intervals as a band."""
    x = intervals.index.to_numpy(np.float64)
    axes.fill_between(x, intervals["low"], intervals["high"], color=colour, alpha=0.22, linewidth=0)
    axes.plot(x, intervals["mean"], style, color=colour, linewidth=width)


def entry(label: str, **style: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **style)


def framework_lines(frameworks: Sequence[str]) -> list[Line2D]:
    """The frameworks' entries of a legend of lines."""
    return [
        entry(display_name(name), color=look(name, frameworks)[0], linewidth=width(name, frameworks))
        for name in frameworks
    ]


def legend(figure: Figure, heading: str, entries: Sequence[Artist], *, columns: int | None = None) -> None:
    """The heading, and below it the legend above the axes, in one row unless there are `columns`."""
    box = figure.legend(
        handles=entries, loc="outside upper center", ncols=columns or len(entries), frameon=False
    )
    box.set_title(heading)
    box.get_title().set_fontsize(12)
