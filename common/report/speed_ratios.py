"""Tables of speed and memory: the frameworks' ratios, what they are made of, and the time to an accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from common.analysis import aa
from common.analysis.aa import ZOO_RECIPES, AAPair, Extent, MeasuredRatio, TargetComparison
from common.analysis.frames import Tables
from common.analysis.pooling import sort_key
from common.data.batches import TEST_BATCH_SIZE
from common.frameworks import PAIR, display_name
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import markdown

UNITS = {
    "training": ("images / s", 0),
    "prediction": ("images / s", 0),
    "memory": ("MiB", 0),
    "import": ("s", 2),
    "first step": ("s", 3),
    "whole run": ("s", 1),
}
"""Unit and decimals of aa.QUANTITIES."""

CELLS = (
    f"Each cell is {display_name(PAIR[0])} over {display_name(PAIR[1])}, the geometric mean over rounds, "
    "those of all sessions of one commit on one machine, with its 95 % confidence interval: above 1 the "
    "first is faster in training and prediction (images a second), and takes more in the other columns "
    "(MiB, seconds). A ratio is reported where the "
    f"confidence interval of each framework over itself is within ±{100 * aa.EXACT:g} % or within a third of "
    "the ratio's distance from 1 (in logarithms); elsewhere the cell has how far that interval reaches: *A/A "
    "±12 %*. An empty cell was not measured."
)
"""Description of the cells of the ratios."""

Pairs = Mapping[tuple[str, str], AAPair]


def ratio_cell(value: MeasuredRatio | None) -> str:
    """The ratio with its interval; where its clock does not bear it, the error of the clock."""
    if value is None:
        return ""
    return cells.ratio(value.ratio) if value.borne else clock(value.clock_error)


def clock(error: float) -> str:
    """`A/A ±12 %`: what stands in place of a ratio that a clock with this error does not bear."""
    return f"A/A {noise(error)}" if math.isfinite(error) else "no A/A test"


def noise(error: float) -> str:
    """`±12 %`: how far the interval of a framework over itself reaches; `unknown` for an infinite error."""
    if not math.isfinite(error):
        return "unknown"
    percent = 100 * math.expm1(error)
    return f"±{percent:.2g} %" if percent < 99.5 else "beyond ±100 %"


def tables(speed: pd.DataFrame, recipes: Mapping[str, Extent] = ZOO_RECIPES) -> str:
    """The ratios of all networks in `recipes` and quantities, then the values and A/A ratios behind them."""
    pairs = {quantity: aa.aa_pairs(speed, quantity, recipes) for quantity in aa.QUANTITIES}
    names = {model for of_quantity in pairs.values() for model, _ in of_quantity}
    if not names:
        return "Not measured yet: `python -m common.bench aa`."
    models = sorted(names, key=lambda model: sort_key(model, ZOO))
    return "\n\n".join([_ratios(pairs, models), *_details(pairs, models)])


def _ratios(pairs: Mapping[str, Pairs], models: list[str]) -> str:
    rows = [[f"`{model}`", *(ratio_cell(_ratio(of, model)) for of in pairs.values())] for model in models]
    means = [aa.over_networks(of) for of in pairs.values()]
    if any(means):
        rows.append(["geometric mean", *map(ratio_cell, means)])
    head = ["MODEL", *(quantity.upper() for quantity in pairs)]
    return markdown(head, rows, right=range(1, len(head)))


def _details(pairs: Mapping[str, Pairs], models: list[str]) -> list[str]:
    rows = []
    for model in models:
        for quantity, of in pairs.items():
            sides = [of.get((model, framework)) for framework in PAIR]
            if not any(sides):
                continue
            unit, digits = UNITS[quantity]
            means = ["" if side is None else f"{side.mean:,.{digits}f}" for side in sides]
            self_ratios = ["" if side is None else cells.ratio(side.self_ratio) for side in sides]
            rows.append([f"`{model}`", f"{quantity}, {unit}", *means, *self_ratios])
    names = [display_name(framework).upper() for framework in PAIR]
    head = ["MODEL", "QUANTITY", *names, *(f"{name} A/A" for name in names)]
    note = "Means over rounds, and each framework over itself."
    return [note, markdown(head, rows, right=range(2, 6))]


def _ratio(pairs: Pairs, model: str) -> MeasuredRatio | None:
    first, second = (pairs.get((model, framework)) for framework in PAIR)
    return aa.measured_ratio(first, second) if first and second else None


def _sooner(comparisons: Sequence[TargetComparison]) -> str:
    """In how many comparisons each framework reached the target sooner."""
    borne = [each.seconds_ratio.ratio for each in comparisons if each.seconds_ratio.borne]
    models = len({each.model for each in comparisons})
    of = f"Of {len(comparisons)} comparisons, of {models} networks,"
    if not borne:
        return f"{of} none is measured exactly enough for a ratio."
    counts = [
        sum(ratio.excludes_one and (ratio.mean < 1) == first for ratio in borne) for first in (True, False)
    ]
    names = map(display_name, PAIR)
    sooner = ", ".join(f"{name} is sooner in {count}" for name, count in zip(names, counts, strict=True))
    return f"{of} {len(borne)} are measured exactly enough for a ratio: {sooner}."


def _without(comparisons: Sequence[TargetComparison]) -> str:
    """The networks without a row."""
    compared = {each.model for each in comparisons}
    others = [f"`{name}`" for name, entry in ZOO.items() if entry.judged and name not in compared]
    if not others:
        return ""
    return (
        f"Without such pairs, or with a run that does not reach {min(aa.TARGETS):g} %: {', '.join(others)}."
    )


def section(results: Tables) -> str:
    """The tables above, then epochs and seconds of training to a test accuracy."""
    first, second = map(display_name, PAIR)
    parts = [
        "### Speed and memory",
        f"{CELLS} Every run is a process of its own that trains a "
        "part of a recipe, of the quickest networks all of it; the frameworks take turns, each twice a round "
        "(A/A). TRAINING is without the first step and the moment normalisation before it. PREDICTION is the "
        f"last test of a run, in batches of {TEST_BATCH_SIZE:,} images. WHOLE RUN is from "
        "the start of the process to its end with all epochs and tests of the recipe: that of the run, and "
        "the images that it left out at its own speeds. MEMORY is the peak of these shortened runs. The "
        "geometric mean is over all networks, those without a ratio included, with Student's interval over "
        "networks.",
        tables(results.speed),
    ]
    comparisons = aa.target_comparisons(results)
    if comparisons:
        rows = [
            [
                *(f"`{comparison.model}`", f"{comparison.target:g} %", str(comparison.pairs)),
                *(
                    ", ".join(f"{value:.1f}" for value in values)
                    for values in (comparison.epochs, comparison.seconds)
                ),
                ratio_cell(comparison.seconds_ratio),
            ]
            for comparison in comparisons
        ]
        parts += [
            "### Time to accuracy",
            _sooner(comparisons),
            f"Epochs and seconds of training ({first}, {second}) until the test accuracy after an epoch "
            "first reaches the target. The seconds count the first step, in which a framework compiles, and "
            "the preparation of the images, both of which TRAINING above leaves out; they also have the luck "
            "of the epochs in them. "
            "Means over pairs of runs with one seed, one commit and one machine to themselves (two pairs can "
            "be of different commits), for networks whose runs all reach the target. RATIO is of the "
            "seconds, reported where TRAINING above is measured exactly enough for it. "
            f"{_without(comparisons)}",
            markdown(["MODEL", "TO", "PAIRS", "EPOCHS", "SECONDS", "RATIO"], rows, right=range(1, 6)),
        ]
    return "\n\n".join(parts)
