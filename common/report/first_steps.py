"""The figure of the first steps: differences of losses between the frameworks, beside those of rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from common.analysis.rounding import FirstSteps, Losses, TraceComparison
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.report.digit_figures import WIDTH
from common.report.drawing import Material, entry, legend

DOUBLE_UNIT = 2.0**-29
"""The unit in the last place of a float64 over that of a float32."""


def first_steps(material: Material) -> Figure:
    """The largest difference of losses over the first steps, a row a network, in double and in single
    precision; the latter with the self-baselines. Points are seeds, or their median with their range."""
    networks = material.first_steps
    figure = Figure(figsize=(WIDTH, 1.6 + 0.42 * len(networks)), layout="constrained")
    double, single = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2))
    _points(double, networks, lambda seed: seed.float64_difference, "D", "black", scale=DOUBLE_UNIT)
    _points(single, networks, lambda seed: seed.between_frameworks, "D", "black", shift=-0.25)
    for order, name in enumerate(PAIR):
        look = FRAMEWORKS[name]
        _points(
            *(single, networks, lambda seed, name=name: seed.self_baselines[name], look.marker, look.colour),
            shift=0.25 * order,
        )
    for axes, title in ((double, "float64"), (single, "float32")):
        axes.set(xscale="log", title=title)
        axes.set_xlabel("largest difference of losses (nats)")
        axes.xaxis.set_major_locator(LogLocator(numticks=9))
        axes.xaxis.set_minor_locator(NullLocator())
    double.set_yticks(range(len(networks)), [steps.model for steps in networks])
    double.set_ylim(len(networks) - 0.5, -0.5)
    steps = len(networks[0].comparisons[0].between_frameworks)
    entries = [entry("between the frameworks", color="black", marker="D", linestyle="none")]
    for name in PAIR:
        style = {"color": FRAMEWORKS[name].colour, "marker": FRAMEWORKS[name].marker, "linestyle": "none"}
        entries.append(entry(f"{display_name(name)}: rounding alone", **style))
    legend(figure, f"Largest difference of losses over the first {steps} steps", entries)
    return figure


def _points(
    axes: Axes,
    networks: Sequence[FirstSteps],
    losses: Callable[[TraceComparison], Losses],
    marker: str,
    colour: str,
    *,
    shift: float = 0.0,
    scale: float = 1.0,
) -> None:
    """The largest of some differences of each seed, and the median and range of the seeds, by network.

    There is no confidence interval: of three seeds that are orders of magnitude apart it would fill the axis.
    No difference is drawn as one unit in the last place, which is `scale` times that of a float32.
    """
    for row, steps in enumerate(networks):
        values = [max(float(losses(seed).max()), seed.unit * scale) for seed in steps.comparisons]
        median, y = float(np.median(values)), row + shift
        axes.plot(values, np.full(len(values), y), marker, color=colour, markersize=3, alpha=0.35)
        reach = [[median - min(values)], [max(values) - median]]
        axes.errorbar(median, y, xerr=reach, fmt=marker, color=colour, markersize=6, elinewidth=1.4)
