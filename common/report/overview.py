"""Figures of the networks' accuracies after the last epoch: by network, and against parameters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

from common.analysis import pooling, significance
from common.analysis.pooling import Group
from common.frameworks import display_name
from common.model.zoo import ZOO
from common.report.digit_figures import WIDTH
from common.report.drawing import (
    GREY,
    LEAST_ERROR,
    Material,
    accuracy_axis,
    entry,
    legend,
    look,
    marking,
    single,
    width,
)
from common.report.sources import RECORDS


@dataclass(frozen=True)
class SeedErrors:
    """Errors in percent of a group: of each seed, the mean, and the ends of the mean's 95 % confidence
    interval over seeds, best first; both ends are the mean for one seed."""

    seeds: list[float]
    mean: float
    low: float
    high: float

    @property
    def reach(self) -> list[list[float]]:
        """Reach of the interval below and above the mean, as matplotlib's error bars have it."""
        return [[self.mean - self.low], [self.high - self.mean]]


def seed_errors(group: Group) -> SeedErrors:
    """The errors of a group's seeds, at least LEAST_ERROR each."""
    accuracies = list(pooling.by_seed(group, "accuracy").values())
    mean = significance.summary(accuracies).mean
    low, high = significance.interval(accuracies) or (mean, mean)
    errors = [max(100 - accuracy, LEAST_ERROR) for accuracy in (mean, high, low)]
    return SeedErrors(sorted(max(100 - accuracy, LEAST_ERROR) for accuracy in accuracies), *errors)


def overview(material: Material) -> Figure:
    """Test accuracies of all seeds, their means with intervals, and the sources' claims, a row a network."""
    models, frameworks = material.models(), material.frameworks()
    figure, axes = single(WIDTH, 1.4 + 0.5 * len(models))
    errors = []
    for row, model in enumerate(models):
        claim = ZOO[model].claimed
        if claim is not None:
            axes.plot(100 - claim, row, "|", color=GREY, markersize=27, markeredgewidth=2.5, zorder=2)
            errors.append(100 - claim)
        for group in material.of(model):
            colour, marker = look(group.framework, frameworks)
            y = row + (frameworks.index(group.framework) - (len(frameworks) - 1) / 2) * 0.36
            values = seed_errors(group)
            axes.plot(
                values.seeds, [y] * len(values.seeds), marker, color=colour, markersize=3, alpha=0.3, zorder=3
            )
            axes.errorbar(
                *(values.mean, y),
                xerr=values.reach,
                fmt=marker,
                color=colour,
                zorder=4,
                markersize=7,
                markeredgecolor="white",
                elinewidth=1.8,
                capsize=4,
                capthick=1.8,
            )
            errors += values.seeds
    axes.set_yticks(
        range(len(models)), [f"{model}\n{_parameters(material, model):,} parameters" for model in models]
    )
    axes.set_ylim(len(models) - 0.5, -0.5)
    accuracy_axis(axes, errors, which="x")
    axes.set_xlabel("test accuracy (%)")
    entries = []
    for name in frameworks:
        colour, marker = look(name, frameworks)
        entries.append(entry(display_name(name), color=colour, marker=marker, linestyle="none"))
    entries += [
        entry("one seed", color=GREY, marker="o", markersize=3, linestyle="none"),
        entry(
            "claimed by the source",
            color=GREY,
            marker="|",
            markersize=13,
            markeredgewidth=2.5,
            linestyle="none",
        ),
    ]
    legend(figure, "Test accuracy by network and framework: means with 95 % intervals", entries)
    return figure


@dataclass(frozen=True)
class Point:
    """A point in the axes of accuracy against parameters, and its name in the figure."""

    parameters: int
    errors: SeedErrors
    name: str


def accuracy_against_parameters(material: Material) -> Figure:
    """Mean test accuracies with intervals against trained parameters, with published records."""
    figure, axes = single(WIDTH, 6.4)
    frameworks = material.frameworks()
    points = []
    for model in material.models():
        for group in material.of(model):
            values = seed_errors(group)
            points.append(Point(_parameters(material, model), values, model))
            style = marking(group.framework, frameworks)
            axes.errorbar(
                *(_parameters(material, model), values.mean),
                yerr=values.reach,
                linestyle="none",
                zorder=4,
                elinewidth=width(group.framework, frameworks),
                **style,
            )
    for record in RECORDS:
        error = 100 - record.accuracy
        points.append(Point(record.parameters, SeedErrors([], error, error, error), f"{record.parameters:,}"))
        axes.plot(record.parameters, error, "*", color=GREY, markersize=10, zorder=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(x=0.1)
    shown = [error for point in points for error in (*point.errors.seeds, point.errors.mean)]
    accuracy_axis(axes, [min(shown) / 1.2, max(shown)], which="y")  # 1.2: space for the names
    axes.set(xlabel="trained parameters", ylabel="test accuracy (%)")
    entries = [
        entry(display_name(name), linestyle="none", **marking(name, frameworks)) for name in frameworks
    ]
    entries.append(
        entry(
            "published record: one run, selected on the test set",
            color=GREY,
            marker="*",
            markersize=10,
            linestyle="none",
        )
    )
    legend(figure, "Test accuracy against parameters", entries)
    _name_points(figure, axes, points)
    return figure


DIRECTIONS = tuple((np.cos(angle), np.sin(angle)) for angle in np.pi / 4 * np.array([2, 6, 0, 4, 1, 3, 5, 7]))
"""Above, below, right, left, and the four between them, as places of a name beside its point."""

NEAR, *DISTANT = 11, 26, 42, 60, 80
"""Distances of a name from its point, in points of type."""


def _name_points(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Write each name near its points, without covering others; a line leads to a distant name."""
    figure.draw_without_rendering()  # makes positions final
    boxes = []
    for point in points:
        ends = axes.transData.transform(
            [(point.parameters, end) for end in (point.errors.low, point.errors.mean, point.errors.high)]
        )
        (x, above), (_, y), (_, below) = ends
        boxes.append(Bbox.from_extents(x - 9, min(below, y - 9), x + 9, max(above, y + 9)))
    for name in dict.fromkeys(point.name for point in points):
        own = [point for point in points if point.name == name]
        place = (own[0].parameters, float(np.mean([point.errors.mean for point in own])))
        style: dict[str, Any] = {
            "textcoords": "offset points",
            "fontsize": 9,
            "color": "black" if name in ZOO else GREY,
        }
        for distance, (across, up) in itertools.product((NEAR, *DISTANT), DIRECTIONS):
            offset = (distance * across, distance * up)
            sides: dict[str, Any] = {
                "ha": _side(across, ("left", "center", "right")),
                "va": _side(up, ("bottom", "center", "top")),
            }
            text = axes.annotate(name, place, offset, **style, **sides)
            box = text.get_window_extent().padded(2)
            inside = axes.bbox.count_contains(box.corners()) == 4
            if inside and not any(box.overlaps(other) for other in boxes):
                if distance > NEAR:
                    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 6}
                    axes.annotate("", place, offset, textcoords="offset points", arrowprops=line)
                boxes.append(box)
                break
            text.remove()


def _side(part: float, names: tuple[str, str, str]) -> str:
    """The alignment of a text that lies in a direction, of which `part` is one component."""
    return names[1] if abs(part) < 0.1 else names[0] if part > 0 else names[2]


def _parameters(material: Material, model: str) -> int:
    return int(material.of(model)[0].runs["parameters"].iloc[0])
