"""The figure of the mistakes of a port: a bar for what each costs each network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from common.analysis.mistakes import Cost
from common.analysis.significance import MARGIN
from common.frameworks import display_name
from common.report.digit_figures import WIDTH

SHADES = (
    *("#264653", "#2a9d8f", "#e9c46a", "#8d99ae", "#bc6c25"),
    *("#5e548e", "#a3b18a", "#9d0208", "#457b9d", "#606c38"),
)
"""Colours of the networks, none of them a framework's."""

STEPS = (0, 0.1, 1, 10, 100)


def figure(costs: Sequence[Cost]) -> Figure:
    """A row for each mistake, the costliest first; the axis is linear up to MARGIN and logarithmic beyond."""
    models = list(dict.fromkeys(cost.model for cost in costs))
    names = {cost.mistake.name: 0.0 for cost in costs}
    for cost in costs:
        names[cost.mistake.name] = max(names[cost.mistake.name], cost.points.mean)
    order = sorted(names, key=lambda name: -names[name])
    found = {cost.mistake.name for cost in costs if cost.found}
    result = Figure(figsize=(WIDTH, 1.2 + 0.42 * len(order)), layout="constrained")
    axes = result.add_subplot()
    height = 0.8 / len(models)
    axes.axvspan(-MARGIN, MARGIN, color="#eeeeee", zorder=0)
    axes.axvline(0, color="black", linewidth=0.9)
    for cost in costs:
        place = models.index(cost.model)
        row = order.index(cost.mistake.name) + (place - (len(models) - 1) / 2) * height
        colour, hatch = SHADES[place % len(SHADES)], "" if cost.mistake.name in found else "////"
        axes.barh(row, cost.points.mean, height * 0.9, color=colour, hatch=hatch, edgecolor="white")
        if cost.points.interval:
            for colour, width in (("white", 2.8), ("black", 1.2)):  # legible on a bar and beside it
                axes.plot(cost.points.interval, [row, row], color=colour, linewidth=width)
    homes = {cost.mistake.name: display_name(cost.mistake.framework) for cost in costs}
    axes.set_yticks(range(len(order)), [f"{name} ({homes[name]})" for name in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xscale("symlog", linthresh=MARGIN, linscale=0.6)
    lowest = min((cost.points.interval or (cost.points.mean,))[0] for cost in costs)
    left = next((-step for step in STEPS[2:] if -step <= lowest), -STEPS[-1])
    axes.set_xlim(left, 150)
    axes.xaxis.set_major_locator(FixedLocator([-step for step in STEPS[:0:-1] if -step >= left] + [*STEPS]))
    axes.xaxis.set_minor_locator(NullLocator())
    labels = [f"{value:g}" for value in axes.xaxis.get_major_locator()()]
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.set_xlabel("Points of accuracy below the right run")
    handles = [Patch(color=shade, label=model) for model, shade in zip(models, cycle(SHADES))]
    handles += [
        Patch(facecolor="#999999", edgecolor="white", label="a forward check finds it"),
        Patch(facecolor="#999999", edgecolor="white", hatch="////", label="passes a forward check"),
    ]
    result.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    return result
