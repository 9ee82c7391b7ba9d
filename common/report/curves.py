"""Figures of curves, points and bars over recorded runs. Every public function returns a new Figure.

A framework has one colour and one marker in every figure. Accuracies have a logarithmic axis of the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from common.analysis import pooling
from common.analysis.pooling import Group
from common.analysis.rounding import TraceComparison
from common.data.datasets import Dataset, class_counts
from common.frameworks import FRAMEWORKS, display_name
from common.model.zoo import ZOO
from common.report.digit_figures import WIDTH
from common.report.sources import RECORDS

# Colours of Okabe and Ito's palette, as the frameworks' own.
OTHERS = (("#009E73", "^"), ("#CC79A7", "v"), ("#E69F00", "P"))
GREY = "#808080"
WALK_THROUGH = "nextjournal"
"""The network whose source shows loss against training images seen, and sample predictions."""


@dataclass(frozen=True, eq=False)
class Material:
    """The data of all figures: one group for each network and framework, their epochs and errors, comparisons
    of traces, and the data set."""

    groups: list[Group]
    epochs: pd.DataFrame
    errors: pd.DataFrame
    traces: Sequence[TraceComparison] = ()
    dataset: Dataset | None = None

    def of(self, model: str) -> list[Group]:
        """The groups of one network."""
        return [group for group in self.groups if group.model == model]

    def models(self) -> list[str]:
        """The networks, in the zoo's order."""
        return list(dict.fromkeys(group.model for group in self.groups))

    def with_epochs(self) -> list[str]:
        """The networks with rows in epochs.csv: a table from elsewhere may have come without."""
        present = set(self.epochs["run"])
        return [m for m in self.models() if any(present & set(group.runs["run"]) for group in self.of(m))]

    def frameworks(self) -> list[str]:
        """The frameworks, in the order of FRAMEWORKS."""
        names = {group.framework for group in self.groups}
        return sorted(names, key=lambda name: pooling.sort_key(name, FRAMEWORKS))

    def digits(self) -> Dataset:
        """The data set. Raises ValueError if there is none."""
        if self.dataset is None:
            raise ValueError("This figure requires the data set.")
        return self.dataset


def classes(material: Material) -> Figure:
    """The number of training images of each digit."""
    dataset = material.digits()
    counts = class_counts(dataset.train.labels)
    figure, axes = _single(WIDTH * 0.8, 3.8)
    bars = axes.bar(range(len(counts)), counts, color=GREY)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=9)
    axes.set_xticks(range(len(counts)))
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(y=0.1)
    axes.set(xlabel="digit", ylabel="training images")
    axes.set_title("Training images of each digit", fontsize=12)
    return figure


def overview(material: Material) -> Figure:
    """Test accuracies of all seeds, their means, and the sources' claims, a row a network."""
    models = material.models()
    figure, axes = _single(WIDTH, 1.4 + 0.55 * len(models))
    frameworks = material.frameworks()
    errors = []
    for row, model in enumerate(models):
        claim = ZOO[model].claimed
        if claim is not None:
            axes.plot(100 - claim, row, "D", color=GREY, markersize=6, zorder=2)
            errors.append(100 - claim)
        for group in material.of(model):
            colour, marker = look(group.framework, frameworks)
            y = row + (frameworks.index(group.framework) - (len(frameworks) - 1) / 2) * 0.3
            seeds = _errors_of_seeds(group)
            axes.plot(seeds, [y] * len(seeds), marker, color=colour, markersize=4, alpha=0.45, zorder=3)
            axes.plot(
                *(seeds.mean(), y), marker, color=colour, markersize=9, markeredgecolor="white", zorder=4
            )
            errors.extend(seeds)
    names = [f"{model}\n{_parameters(material, model):,} parameters" for model in models]
    axes.set_yticks(range(len(models)), names)
    axes.set_ylim(len(models) - 0.5, -0.5)
    _accuracy_axis(axes, errors, which="x")
    axes.set_xlabel("test accuracy (%)")
    _legend(figure, "Test accuracy by network and framework", frameworks, claim=True)
    return figure


def accuracy_against_parameters(material: Material) -> Figure:
    """Mean test accuracies against trained parameters, with claims and published records."""
    figure, axes = _single(WIDTH, 6.0)
    frameworks, models = material.frameworks(), material.models()
    points: list[tuple[str | None, int, float]] = []
    for model in models:
        x = _parameters(material, model)
        for group in material.of(model):
            error = float(_errors_of_seeds(group).mean())
            colour, marker = look(group.framework, frameworks)
            # Hollow, because the frameworks' points often coincide.
            (point,) = axes.plot(x, error, marker, color=colour, fillstyle="none", markersize=9, zorder=4)
            point.set_markeredgewidth(2)
            points.append((model, x, error))
        claim = ZOO[model].claimed
        if claim is not None:
            axes.plot(x, 100 - claim, "D", color=GREY, markersize=6, zorder=2)
            points.append((None, x, 100 - claim))
    for record in RECORDS:
        x, error = record.parameters, 100 - record.accuracy
        axes.plot(x, error, "*", color=GREY, markersize=9, zorder=2)
        points.append((None, x, error))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.margins(x=0.12)
    errors = [error for _, _, error in points]
    _accuracy_axis(axes, errors, which="y")
    axes.set_ylim(top=min(errors) / 2)  # space for the names
    axes.set(xlabel="trained parameters", ylabel="test accuracy (%)")
    _legend(figure, "Test accuracy against parameters", frameworks, claim=True)
    _name_points(figure, axes, points)
    return figure


def _name_points(figure: Figure, axes: Axes, points: list[tuple[str | None, int, float]]) -> None:
    """Write each network's name beside its `points` (network or None, x, y), without covering others."""
    figure.draw_without_rendering()  # makes positions final
    pixels = axes.transData.transform([(x, y) for _, x, y in points])
    boxes = [Bbox.from_bounds(x - 10, y - 10, 20, 20) for x, y in pixels]
    for model in dict.fromkeys(model for model, _, _ in points if model):
        own = [(x, y) for name, x, y in points if name == model]
        x, above, below = own[0][0], min(y for _, y in own), max(y for _, y in own)
        sides = (
            (above, (0, 9), "center", "bottom"),
            (below, (0, -9), "center", "top"),
            (above, (10, 0), "left", "center"),
            (above, (-10, 0), "right", "center"),
            (above, (0, 22), "center", "bottom"),
            (below, (0, -22), "center", "top"),
            (above, (0, 35), "center", "bottom"),
        )
        for last, (y, offset, ha, va) in enumerate(sides, start=1 - len(sides)):
            text = axes.annotate(model, (x, y), offset, textcoords="offset points", ha=ha, va=va, fontsize=9)
            box = text.get_window_extent()
            free = not any(box.overlaps(other) for other in boxes)
            if last == 0 or (free and axes.bbox.count_contains(box.corners()) == 4):
                boxes.append(box)
                break
            text.remove()


def learning_rate(material: Material) -> Figure:
    """The recorded learning rate of each epoch's first step, a panel a network."""

    def panel(axes: Axes, group: Group, epochs: pd.DataFrame, colour: str, first: bool) -> None:
        rates = epochs.dropna(subset=["lr"]).groupby("epoch")["lr"].mean()
        if first:
            axes.plot(rates.index, rates, color=colour, linewidth=4.0, alpha=0.5)
        else:
            axes.plot(rates.index, rates, color=colour, linewidth=1.4, marker=".")
        axes.set_ylim(bottom=0)

    return _panels(material, panel, "Learning rate per epoch", ylabel="learning rate", share=False)


def accuracy_per_epoch(material: Material) -> Figure:
    """Test accuracy after each epoch, a panel a network."""
    drawn: list[float] = []

    def panel(axes: Axes, group: Group, epochs: pd.DataFrame, colour: str, first: bool) -> None:
        errors = epochs.assign(error=_error(epochs["accuracy"]))
        _lines(axes, errors, "error", colour, first=first)
        drawn.extend(errors["error"])
        _accuracy_axis(axes, drawn, which="y")

    return _panels(material, panel, "Test accuracy per epoch", ylabel="test accuracy (%)", share=True)


def loss_per_epoch(material: Material) -> Figure:
    """Test and training loss of each epoch, a panel a network."""

    def panel(axes: Axes, group: Group, epochs: pd.DataFrame, colour: str, first: bool) -> None:
        _lines(axes, epochs, "loss", colour, first=first)
        _lines(axes, epochs, "train_loss", colour, first=first, dashes=True)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    return _panels(material, panel, "Loss per epoch", ylabel="loss (nats)", share=True, dashes=True)


def first_steps(material: Material) -> Figure:
    """Largest differences of losses up to each step, with the self-baselines, a panel a network."""
    traces = material.traces
    columns = min(3, len(traces))
    figure, panels = _grid(len(traces), columns)
    for axes, trace in zip(panels, traces, strict=False):
        steps = np.arange(1, len(trace.between_frameworks) + 1)
        curves = {"between the frameworks, float32": (trace.between_frameworks, "black", "-")}
        for name, baseline in trace.self_baselines.items():
            label = f"self-baseline of {display_name(name)}, start one ulp away"
            curves[label] = (baseline, FRAMEWORKS[name].colour, "-")
        curves["between the frameworks, float64 (relative)"] = (trace.float64_error, GREY, "--")
        for text, (values, colour, style) in curves.items():
            largest = np.maximum.accumulate(values)
            # A logarithmic axis has no zero.
            shown = np.where(largest > 0, largest, np.nan)
            axes.plot(steps, shown, style, color=colour, linewidth=1.3, label=text)
        axes.set(yscale="log", ylim=(1e-17, 1e1), title=trace.model)
    for axes in panels[len(traces) :]:
        axes.set_axis_off()
    for axes in panels[::columns]:
        axes.set_ylabel("largest difference")
    for axes in panels[max(0, len(traces) - columns) : len(traces)]:
        axes.set_xlabel("step")
        axes.tick_params(labelbottom=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _grid(count: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Panels with shared axes in rows of `columns`, row by row."""
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 2.3 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    return figure, list(panels.flat)


def loss_against_examples(material: Material) -> Figure:
    """Test and training loss of WALK_THROUGH against training images seen."""
    figure, axes = _single(WIDTH * 0.8, 4.4)
    frameworks = material.frameworks()
    images = len(material.digits().train)
    for order, group in enumerate(material.of(WALK_THROUGH)):
        colour, marker = look(group.framework, frameworks)
        # The first is drawn larger, because the second often covers it.
        size: dict[str, Any] = (
            {"linewidth": 1.5, "markersize": 5} if order else {"linewidth": 4, "markersize": 11}
        )
        batch = int(group.runs["batch_size"].iloc[0])
        per_epoch = images // batch * batch  # the incomplete last batch is left out
        epochs = pooling.epochs_of(group, material.epochs)
        for name, column, shift, style in (("test", "loss", 0.0, "-"), ("train", "train_loss", 0.5, "--")):
            losses = pooling.by_epoch(epochs, column)
            images_seen = (losses.index.to_numpy() - shift) * per_epoch
            fill = colour if name == "test" else "white"
            style_of: dict[str, Any] = {
                "marker": marker,
                "linestyle": style,
                "color": colour,
                "markerfacecolor": fill,
            }
            axes.plot(images_seen, losses, **style_of, **size)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)
    axes.set(xlabel="training images seen", ylabel="loss (nats)")
    _legend(figure, f"{WALK_THROUGH}: loss against training images seen", frameworks, dashes=True)
    return figure


# Parts of several figures


def look(framework: str, present: Iterable[str]) -> tuple[str, str]:
    """Colour and marker of a framework; frameworks not in FRAMEWORKS have those of OTHERS, by alphabet."""
    name = framework.lower()
    if name in FRAMEWORKS:
        return FRAMEWORKS[name].colour, FRAMEWORKS[name].marker
    unknown = sorted(other for other in present if other.lower() not in FRAMEWORKS)
    return OTHERS[unknown.index(framework) % len(OTHERS)]


def _error(accuracy: pd.Series[float]) -> pd.Series[float]:
    """Error in percent, at least half of one image in 10,000 for the logarithmic axis."""
    return (100 - accuracy).clip(lower=0.005)


def _errors_of_seeds(group: Group) -> pd.Series[float]:
    return _error(pd.Series(pooling.by_seed(group, "accuracy")).sort_index())


def _accuracy_axis(axes: Axes, errors: Iterable[float], *, which: Literal["x", "y"]) -> None:
    """A logarithmic axis of `errors` in percent, labelled with accuracies; better is up or to the right."""
    values = list(errors)
    low, high = min(values) / 1.2, min(max(values) * 1.2, 100.0)
    steps = [90, 80, 50, 20, 10, 5, 3, 2, 1.5, 1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    if high / low > 20:
        steps = [90, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]
    if which == "x":
        axes.set(xscale="log", xlim=(high, low))
    else:
        axes.set(yscale="log", ylim=(high, low))
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(steps))
    axis.set_major_formatter(FixedFormatter([f"{100 - step:g}" for step in steps]))
    axis.set_minor_locator(NullLocator())


def _parameters(material: Material, model: str) -> int:
    return int(material.of(model)[0].runs["parameters"].iloc[0])


def _single(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _panels(
    material: Material,
    panel: Callable[[Axes, Group, pd.DataFrame, str, bool], None],
    heading: str,
    *,
    ylabel: str,
    share: bool,
    dashes: bool = False,
) -> Figure:
    """A panel a network, in which `panel` draws the epochs of each group in its framework's colour."""
    models, frameworks = material.with_epochs(), material.frameworks()
    columns = min(4, len(models))
    lines = -(-len(models) // columns)
    figure = Figure(figsize=(max(5.0, WIDTH * columns / 4), 0.8 + 2.4 * lines), layout="constrained")
    first: Axes | None = None
    for place, model in enumerate(models):
        axes = figure.add_subplot(lines, columns, place + 1, sharey=first if share else None)
        first = first or axes
        for order, group in enumerate(material.of(model)):
            epochs, (colour, _) = pooling.epochs_of(group, material.epochs), look(group.framework, frameworks)
            panel(axes, group, epochs, colour, order == 0)
        axes.set_title(model)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.tick_params(labelsize=9)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(ylabel, fontsize=10)
    _legend(figure, heading, frameworks, dashes=dashes, line=True)
    return figure


def _lines(
    axes: Axes, epochs: pd.DataFrame, column: str, colour: str, *, first: bool, dashes: bool = False
) -> None:
    """Each run as a thin line, the seeds' mean as a thick one, thickest where `first`, which others cover."""
    style = "--" if dashes else "-"
    for _, run in epochs.dropna(subset=[column]).groupby("run"):
        axes.plot(run["epoch"], run[column], style, color=colour, linewidth=0.7, alpha=0.35)
    mean = pooling.by_epoch(epochs, column)
    axes.plot(mean.index, mean, style, color=colour, linewidth=4.0 if first else 1.6)


def _legend(
    figure: Figure,
    heading: str,
    frameworks: list[str],
    *,
    claim: bool = False,
    dashes: bool = False,
    line: bool = False,
) -> None:
    """The heading, and below it the legend in one row, above the axes."""
    handles = []
    for framework in frameworks:
        colour, marker = look(framework, frameworks)
        handle = Line2D([], [], color=colour, label=display_name(framework), linewidth=2.0)
        if not line:
            handle.set(marker=marker, linestyle="-" if dashes else "none")
        handles.append(handle)
    if dashes:
        handles.append(Line2D([], [], color="black", linestyle="-", label="test"))
        handles.append(Line2D([], [], color="black", linestyle="--", label="training"))
    if claim:
        grey = Line2D([], [], color=GREY, marker="D", linestyle="none", label="claimed by the source")
        handles.append(grey)
    legend = figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    legend.set_title(heading)
    legend.get_title().set_fontsize(12)
