"""The figure of one network's comparison: accuracies by seed, their difference, and speed and memory."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.analysis import pooling, significance
from common.analysis.one_network import OneNetwork
from common.analysis.significance import MARGIN
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.report.answer_figure import NEUTRAL, Point, draw_points
from common.report.digit_figures import WIDTH
from common.report.one_network import heading

RATES = {"images_per_second": "Training, images / s", "peak_memory_mib": "Memory, MiB"}
"""Columns with a panel of bars, and the titles."""


def figure(network: OneNetwork) -> Figure:
    """A row of panels; one without values says so."""
    result = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    accuracy, difference, *rates = result.subplots(1, 2 + len(RATES))
    result.suptitle(heading(network), fontsize=11)
    _accuracies(accuracy, network)
    _difference(difference, network)
    for axes, (column, title) in zip(rates, RATES.items(), strict=True):
        _bars(axes, network.values(column))
        axes.set_title(title)
    return result


def _accuracies(axes: Axes, network: OneNetwork) -> None:
    """The seeds of each framework as faint points, and their mean with its 95 % confidence interval."""
    for row, name in enumerate(PAIR):
        group = network.groups.get(name)
        if group is None:
            continue
        values = list(pooling.by_seed(group, "accuracy").values())
        mean = significance.summary(values).mean
        low, high = significance.interval(values) or (mean, mean)
        style = FRAMEWORKS[name]
        axes.plot(values, [row] * len(values), "o", color=style.colour, alpha=0.3, markersize=4)
        axes.plot([low, high], [row, row], color=style.colour, linewidth=2)
        axes.plot(mean, row, style.marker, color=style.colour, markersize=8, markeredgecolor="white")
    _frameworks(axes)
    axes.set_title("Test accuracy, %")


def _difference(axes: Axes, network: OneNetwork) -> None:
    """The difference of the accuracies with its interval, over the margin of equivalence."""
    verdict = network.verdict
    axes.axvspan(-MARGIN, MARGIN, color="#eeeeee", zorder=0)
    points, reach = {}, 3 * MARGIN
    if verdict is not None:
        mean, interval = verdict.comparison.mean, verdict.comparison.interval
        points[""] = Point(mean, interval)
        reach = max(reach, *(1.2 * abs(value) for value in (mean, *(interval or ()))))
    draw_points(axes, [""], points, centre=0.0, more_is_better=True, limits=(-reach, reach))
    axes.set_yticks([])
    axes.set_title("Difference" if verdict is None else verdict.verdict.capitalize())
    axes.set_xlabel(f"{' minus '.join(map(display_name, PAIR))}, points", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _bars(axes: Axes, sides: Sequence[Sequence[float]]) -> None:
    """A bar for the mean of each framework, with its interval where there is one."""
    if not all(sides):
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=NEUTRAL)
    for row, (name, values) in enumerate(zip(PAIR, sides, strict=True)):
        if values:
            mean, bounds = significance.summary(values).mean, significance.interval(values)
            axes.barh(row, mean, height=0.55, color=FRAMEWORKS[name].colour)
            if bounds:
                axes.plot(bounds, [row, row], color="black", linewidth=1.4)
    _frameworks(axes)
    if not any(sides):
        axes.set_xticks([])


def _frameworks(axes: Axes) -> None:
    """A row for each framework, the first one at the top."""
    axes.set_yticks(range(len(PAIR)), [display_name(name) for name in PAIR])
    axes.set_ylim(len(PAIR) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.tick_params(labelsize=9)
