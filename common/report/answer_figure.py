"""The figure of the answer: differences of accuracy, and ratios of speed, memory and start-up, by network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from common.analysis.answer import Answer
from common.analysis.significance import MARGIN
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.report.digit_figures import WIDTH

PANELS = {
    "training": "Training speed",
    "prediction": "Prediction speed\n(batches)",
    "memory": "Memory",
    "import": "Start-up\n(import)",
}
"""The quantities of the panels of ratios, with their titles."""

BETTER_BELOW = {"memory", "import"}
"""Of these the framework with less is ahead."""

NEUTRAL = "#555555"
STEPS = (0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 3, 4)
"""Marks of the axes of ratios."""


@dataclass(frozen=True)
class Point:
    """A value with its 95 % confidence interval, None for one pair and for a ratio that its clock does not
    bear; that one is not `reported`."""

    value: float
    interval: tuple[float, float] | None
    reported: bool = True


def figure(answer: Answer) -> Figure:
    """A panel for accuracy and for each of PANELS, a row a network; no more than the tables have."""
    models = [pair.model for pair in answer.pairs]
    result = Figure(figsize=(WIDTH, 1.3 + 0.29 * len(models)), layout="constrained")
    panels = result.subplots(1, 1 + len(PANELS), sharey=True)
    differences = {pair.model: Point(pair.comparison.mean, pair.comparison.interval) for pair in answer.pairs}
    reach = max([3 * MARGIN, *(1.2 * abs(point.value) for point in differences.values())])
    draw_points(panels[0], models, differences, centre=0.0, more_is_better=True, limits=(-reach, reach))
    panels[0].axvspan(-MARGIN, MARGIN, color="#eeeeee", zorder=0)
    panels[0].xaxis.set_major_locator(MaxNLocator(nbins=3))
    panels[0].set(title="Test accuracy", xlabel=f"{_names('minus')}, points")
    for axes, (name, title) in zip(panels[1:], PANELS.items(), strict=True):
        quantity = answer.quantities.get(name)
        ratios = {} if quantity is None else quantity.by_model
        points = {
            model: Point(each.ratio.mean, each.ratio.interval if each.borne else None, each.borne)
            for model, each in ratios.items()
        }
        better = "less" if name in BETTER_BELOW else "more"
        axes.set(xscale="log", title=title, xlabel=f"{_names('over')}\n({better} is better)")
        reach = 1.2 * max(
            [1.3, *(end for point in points.values() for end in (point.value, 1 / point.value))]
        )
        more_is_better = name not in BETTER_BELOW
        draw_points(
            axes, models, points, centre=1.0, more_is_better=more_is_better, limits=(1 / reach, reach)
        )
        axes.xaxis.set_major_locator(FixedLocator(STEPS))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{step:g}" for step in STEPS]))
        axes.xaxis.set_minor_locator(NullLocator())
    panels[0].set_yticks(range(len(models)), models)
    panels[0].set_ylim(len(models) - 0.4, -0.6)
    handles = [
        Line2D([], [], color=FRAMEWORKS[name].colour, marker="o", label=f"{display_name(name)} is better")
        for name in PAIR
    ]
    handles.append(Line2D([], [], color=NEUTRAL, marker="o", label="interval includes equality"))
    handles.append(
        Line2D(
            [],
            [],
            color=NEUTRAL,
            marker="o",
            fillstyle="none",
            linestyle="none",
            label="too noisy for a ratio",
        )
    )
    result.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    return result


def _names(between: str) -> str:
    """Both frameworks around a word, on two lines."""
    return f" {between}\n".join(map(display_name, PAIR))


def draw_points(
    axes: Axes,
    models: Sequence[str],
    points: Mapping[str, Point],
    *,
    centre: float,
    limits: tuple[float, float],
    more_is_better: bool,
) -> None:
    """A point with its interval for each network, in the colour of the framework that is better.

    An interval that leaves the axis at `limits` ends in an arrow there: an axis that held the longest one
    would make points of all others.
    """
    axes.axvline(centre, color="black", linewidth=0.9, zorder=1)
    axes.set_xlim(*limits)
    for row, model in enumerate(models):
        point = points.get(model)
        if point is None:
            continue
        low, high = point.interval or (point.value, point.value)
        colour = NEUTRAL
        if point.reported and point.interval and not low <= centre <= high:
            colour = FRAMEWORKS[PAIR[(low > centre) != more_is_better]].colour
        axes.plot([low, high], [row, row], color=colour, linewidth=1.6, zorder=3)
        for end, arrow in ((limits[0], "<"), (limits[1], ">")):
            if low < end < high:
                axes.plot(end, row, arrow, color=colour, markersize=5, clip_on=False, zorder=4)
        fill = colour if point.reported else "white"
        axes.plot(point.value, row, "o", color=colour, markerfacecolor=fill, markersize=6, zorder=4)
    if not points:
        axes.text(0.5, 0.5, "not measured yet", transform=axes.transAxes, ha="center", color=NEUTRAL)
    axes.tick_params(labelsize=9)
    axes.xaxis.label.set_fontsize(9)
