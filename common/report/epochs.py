"""Figures of quantities per epoch, a panel a network: learning rate, test accuracy, losses.

Lines over seeds on a logarithmic axis are geometric means with 95 % confidence intervals of them
(`pooling.intervals_by_epoch`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from common.analysis import pooling
from common.frameworks import display_name
from common.model.schedule import Constant, rates
from common.model.zoo import ZOO
from common.report.digit_figures import WIDTH
from common.report.drawing import (
    Material,
    accuracy_axis,
    band,
    entry,
    error,
    framework_lines,
    legend,
    look,
    marking,
    single,
    width,
)

WALK_THROUGH = "nextjournal"
"""The network whose source shows loss against training images seen, and sample predictions."""


LEAST_LOSS = 1e-9
"""A loss of 0 has no place on a logarithmic axis."""


def with_curves(material: Material) -> list[str]:
    """The networks with several recorded epochs: a curve of one epoch has no shape."""
    return [model for model in material.with_epochs() if ZOO[model].recipe.epochs > 1]


def with_schedules(material: Material) -> list[str]:
    """The networks with recorded epochs whose learning rate is not constant."""
    return [m for m in material.with_epochs() if not isinstance(ZOO[m].recipe.schedule, Constant)]


def learning_rate(material: Material) -> Figure:
    """Each step's learning rate by the recipe, and the recorded ones of the epochs' first steps, all as parts
    of the recipe's highest."""
    frameworks, models = material.frameworks(), with_schedules(material)
    figure, panels = _panels(models, columns=5, height=2.0)
    for axes, model in zip(panels, models, strict=True):
        recipe = ZOO[model].recipe
        steps = len(material.digits().train) // recipe.batch_size
        planned = rates(recipe.schedule, lr=recipe.lr, epochs=recipe.epochs, steps=steps)
        peak = planned.max()
        axes.plot(np.arange(len(planned)) / steps, planned / peak, color="black", linewidth=1.0, zorder=3)
        for group in material.of(model):
            recorded = pooling.by_epoch(pooling.epochs_of(group, material.epochs), "lr") / peak
            axes.plot(
                recorded.index - 1, recorded, linestyle="none", **marking(group.framework, frameworks, size=6)
            )
        axes.set_title(f"{model}\nhighest {peak:.3g}")
        axes.set_ylim(-0.05, 1.12)
    figure.supxlabel("epochs trained", fontsize=10)
    figure.supylabel("learning rate / highest", fontsize=10)
    entries = [
        entry(f"{display_name(name)}, recorded", linestyle="none", **marking(name, frameworks, size=6))
        for name in frameworks
    ]
    legend(figure, "Learning rate", [*entries, entry("recipe, every step", color="black", linewidth=1.0)])
    return figure


def accuracy_per_epoch(material: Material) -> Figure:
    """Test accuracy after each epoch, a panel a network with several epochs."""
    drawn: list[float] = []

    def panel(axes: Axes, epochs: pd.DataFrame, colour: str, width: float) -> None:
        errors = epochs.assign(error=error(epochs["accuracy"]))
        intervals = pooling.intervals_by_epoch(errors, "error")
        band(axes, intervals, colour, width=width)
        drawn.extend(intervals["mean"])
        accuracy_axis(axes, drawn, which="y", fine_up_to=20)

    return _curves(
        material, panel, "Test accuracy per epoch: means with 95 % intervals", ylabel="test accuracy (%)"
    )


def loss_per_epoch(material: Material) -> Figure:
    """Test and training loss of each epoch, a panel a network with several epochs."""
    drawn: list[float] = []

    def panel(axes: Axes, epochs: pd.DataFrame, colour: str, width: float) -> None:
        for column, style in (("loss", "-"), ("train_loss", "--")):
            intervals = _losses(epochs, column)
            band(axes, intervals, colour, width=width, style=style)
            drawn.extend(intervals["mean"])
        axes.set(yscale="log", ylim=(min(drawn) / 1.3, max(drawn) * 1.3))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    return _curves(
        material,
        panel,
        "Loss per epoch: means with 95 % intervals",
        ylabel="loss (nats)",
        more=_test_and_training(),
    )


def loss_against_examples(material: Material) -> Figure:
    """Test and training loss of WALK_THROUGH against training images seen, with intervals."""
    figure, axes = single(WIDTH * 0.8, 4.4)
    frameworks = material.frameworks()
    images = len(material.digits().train)
    for group in material.of(WALK_THROUGH):
        batch = int(group.runs["batch_size"].iloc[0])
        per_epoch = images // batch * batch  # the incomplete last batch is left out
        epochs = pooling.epochs_of(group, material.epochs)
        for column, shift, style in (("loss", 0.0, "-"), ("train_loss", 0.5, "--")):
            intervals = _losses(epochs, column)
            images_seen = (intervals.index.to_numpy() - shift) * per_epoch
            reach = np.abs(intervals[["low", "high"]].to_numpy().T - intervals["mean"].to_numpy())
            marks = marking(group.framework, frameworks)
            axes.errorbar(
                *(images_seen, intervals["mean"]),
                yerr=reach,
                linestyle=style,
                linewidth=width(group.framework, frameworks),
                capsize=4,
                **marks,
            )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)
    axes.set(xlabel="training images seen", ylabel="loss (nats)")
    entries = [entry(display_name(name), **marking(name, frameworks)) for name in frameworks]
    legend(figure, f"{WALK_THROUGH}: loss against training images seen", [*entries, *_test_and_training()])
    return figure


def _losses(epochs: pd.DataFrame, column: str) -> pd.DataFrame:
    """The intervals of a column of losses by epoch."""
    return pooling.intervals_by_epoch(
        epochs.assign(**{column: epochs[column].clip(lower=LEAST_LOSS)}), column
    )


def _test_and_training() -> list[Line2D]:
    """The entries of a legend for solid and dashed lines."""
    return [
        entry("test", color="black", linestyle="-"),
        entry("training", color="black", linestyle="--"),
    ]


def _curves(
    material: Material,
    panel: Callable[[Axes, pd.DataFrame, str, float], None],
    heading: str,
    *,
    ylabel: str,
    more: Sequence[Line2D] = (),
) -> Figure:
    """A panel a network, in which `panel` draws the epochs after the first of each group in its framework's
    colour and width; all have one vertical axis. `more` are further entries of the legend."""
    models, frameworks = with_curves(material), material.frameworks()
    figure, panels = _panels(models, columns=4, height=2.2)
    for axes, model in zip(panels, models, strict=True):
        for group in material.of(model):
            epochs = pooling.epochs_of(group, material.epochs)
            trained = epochs[epochs["epoch"] > 0]
            panel(axes, trained, look(group.framework, frameworks)[0], width(group.framework, frameworks))
        axes.set_title(model)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(ylabel, fontsize=10)
    legend(figure, heading, [*framework_lines(frameworks), *more])
    return figure


def _panels(models: Sequence[str], *, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A panel a network, row by row, with one vertical axis for all, which the first of a row labels."""
    columns = min(columns, len(models))
    lines = math.ceil(len(models) / columns)
    figure = Figure(figsize=(min(WIDTH, max(7.5, 2.5 * columns)), 0.9 + height * lines), layout="constrained")
    panels: list[Axes] = []
    for place in range(len(models)):
        axes = figure.add_subplot(lines, columns, place + 1, sharey=panels[0] if panels else None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.tick_params(labelsize=9, labelleft=place % columns == 0)
        panels.append(axes)
    return figure, panels
