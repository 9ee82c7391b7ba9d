"""The explorer's tables as text: verdicts, speed, every run. A number stands alone in its cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis import aa, one_network, pooling, significance
from common.analysis.aa import MeasuredRatio
from common.analysis.frames import Tables
from common.analysis.one_network import OneNetwork
from common.analysis.pooling import Group, format_value, sort_key
from common.analysis.significance import MARGIN, Comparison
from common.analysis.verdicts import RatioVerdict, judge, judge_ratios
from common.frameworks import PAIR, display_name
from common.model.zoo import ZOO
from common.report.speed_ratios import UNITS
from common.tables.schema import Run, columns

FIRST, SECOND = (display_name(name) for name in PAIR)

RUN_COLUMNS = (
    *("model", "framework", "seed", "status", "accuracy", "shifted_accuracy", "loss", "train_accuracy"),
    *("train_loss", "epochs", "parameters", "train_seconds", "images_per_second", "peak_memory_mib"),
)
"""Columns of results.csv that are shown at first, in this order; the others follow in the schema's order."""


@dataclass(frozen=True)
class Heading:
    """The head of a column: name, meaning, unit, whether it has numbers, and whether it is shown at first."""

    name: str
    meaning: str
    unit: str = ""
    number: bool = True
    shown: bool = True


@dataclass(frozen=True)
class Table:
    """A table of the page: a name without spaces, a title, a note, and rows with a cell for each heading."""

    name: str
    title: str
    note: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    keys: Sequence[str] = ()
    """The names of the runs, a row each, by which their curves are found."""


def verdicts(tables: Tables) -> Table:
    """The accuracies of each network in both frameworks, their difference, and the ratio of error rates."""
    judged, refused = judge(tables)
    ratios = {verdict.model: verdict for verdict in judge_ratios(tables, "error rates")}
    headings = (
        Heading("network", "name in the zoo", number=False),
        Heading("verdict", "on whether the accuracies differ or are equivalent", number=False),
        Heading("pairs", "runs of both frameworks with one seed", "seeds"),
        Heading("planned", "pairs planned before there were runs", "seeds", shown=False),
        *(heading for name in (FIRST, SECOND) for heading in _spread_headings(name)),
        Heading("difference", f"{FIRST} minus {SECOND}, mean over pairs", "points"),
        Heading("low", "lower end of the difference's 95 % confidence interval", "points"),
        Heading("high", "upper end of the difference's 95 % confidence interval", "points"),
        Heading("p different", "paired test that the difference is 0, adjusted for the number of networks"),
        Heading(
            "p outside", f"test that it is beyond ±{MARGIN:g} points, adjusted for the number of networks"
        ),
        Heading("error ratio", f"error rate of {FIRST} over that of {SECOND}, geometric mean over pairs"),
        Heading("ratio low", "lower end of the ratio's 95 % confidence interval"),
        Heading("ratio high", "upper end of the ratio's 95 % confidence interval"),
    )
    rows = [
        [
            *(verdict.model, verdict.verdict, str(verdict.comparison.n), str(verdict.planned_seeds)),
            *(cell for group in (verdict.first, verdict.second) for cell in _spread(group)),
            *_difference(verdict.comparison),
            *(_number(p, ".3g") for p in (verdict.p_difference, verdict.p_equivalence)),
            *_error_ratio(ratios.get(verdict.model)),
        ]
        for verdict in judged
    ]
    note = (
        f"Test accuracy after the last epoch. Equivalent: within ±{MARGIN:g} points by two one-sided tests; "
        "different: not zero by Student's paired test; both at 5 %, adjusted for the number of networks."
    )
    return Table("verdicts", "Verdicts", " ".join([note, *refused]), headings, rows)


def own_networks(tables: Tables) -> Table:
    """The networks of users' own files: accuracies, verdict, and ratios of speed and memory of each."""
    headings = (
        Heading("network", "name in a file of the user's own", number=False),
        Heading("verdict", "on whether the accuracies differ or are equivalent", number=False),
        Heading("data set", "the images it was trained on", number=False),
        Heading("recipe", "digest of the network and its recipe", number=False),
        Heading("parameters", "trained values"),
        Heading("pairs", "runs of both frameworks with one seed", "seeds"),
        *(
            Heading(name.lower(), f"mean test accuracy of {name} over seeds", "percent")
            for name in (FIRST, SECOND)
        ),
        Heading("difference", f"{FIRST} minus {SECOND}, mean over pairs", "points"),
        Heading("low", "lower end of the difference's 95 % confidence interval", "points"),
        Heading("high", "upper end of the difference's 95 % confidence interval", "points"),
        Heading("speed ratio", f"images a second, {FIRST} over {SECOND}, of runs alone on their machine"),
        Heading("memory ratio", f"memory of {FIRST} over {SECOND}, by the same runs"),
    )
    note = (
        "Networks of files of your own. Each is judged by itself, adjusted for no other; none is part of the "
        "other tables of verdicts and speed."
    )
    rows = [_own_row(network) for network in one_network.own_networks(tables)]
    return Table("own", "Your networks", note, headings, rows)


def _own_row(network: OneNetwork) -> list[str]:
    verdict, sides = network.verdict, [network.groups.get(name) for name in PAIR]
    ratios = [network.ratio(column) for column in ("images_per_second", "peak_memory_mib")]
    recipe = str(network.tables.runs["recipe_hash"].iloc[0])
    comparison = None if verdict is None else verdict.comparison
    return [
        *(network.name, "" if verdict is None else verdict.verdict),
        *(network.dataset, recipe, str(network.parameters)),
        "" if comparison is None else str(comparison.n),
        *("" if group is None else _spread(group)[0] for group in sides),
        *(["", "", ""] if comparison is None else _difference(comparison)),
        *("" if ratio is None else f"{ratio.mean:.3f}" for ratio in ratios),
    ]


def _difference(comparison: Comparison) -> list[str]:
    """Mean and interval of a difference in points."""
    return [f"{comparison.mean:+.3f}", *_bounds(comparison.interval, "+.3f")]


def _spread_headings(framework: str) -> list[Heading]:
    name = framework.lower()
    return [
        Heading(name, f"mean test accuracy of {framework} over seeds", "percent"),
        Heading(f"{name} sd", f"standard deviation of {framework} over seeds", "points", shown=False),
    ]


def _spread(group: Group) -> list[str]:
    summary = significance.summary(pooling.by_seed(group, "accuracy").values())
    return [f"{summary.mean:.3f}", _number(summary.sd, ".3f")]


def _error_ratio(verdict: RatioVerdict | None) -> list[str]:
    if verdict is None:
        return ["", "", ""]
    return [f"{verdict.ratio.mean:.3f}", *_bounds(verdict.ratio.interval, ".3f")]


def speed(tables: Tables) -> Table:
    """The frameworks' ratios of speed, memory and seconds, a row for each network and quantity."""
    first, second = FIRST.lower(), SECOND.lower()
    headings = (
        Heading("network", "name in the zoo", number=False),
        Heading("quantity", "what was measured", number=False),
        Heading("unit", f"of {first} and {second}", number=False),
        Heading(first, f"mean of {FIRST}"),
        Heading(second, f"mean of {SECOND}"),
        Heading(
            "ratio", f"{FIRST} over {SECOND}, geometric mean; empty where the measurement is too inexact"
        ),
        Heading("low", "lower end of the ratio's 95 % confidence interval"),
        Heading("high", "upper end of the ratio's 95 % confidence interval"),
        Heading("n", "rounds, or pairs of runs"),
        Heading("A/A error", "how far the interval of a framework over itself reaches", "percent"),
    )
    rows = []
    for quantity in aa.QUANTITIES:
        pairs = aa.aa_pairs(tables.speed, quantity)
        unit, digits = UNITS[quantity]
        for model in sorted({model for model, _ in pairs}, key=lambda model: sort_key(model, ZOO)):
            sides = [pairs.get((model, framework)) for framework in PAIR]
            first_side, second_side = sides
            ratio = aa.measured_ratio(first_side, second_side) if first_side and second_side else None
            means = [_number(side.mean if side else None, f".{digits}f") for side in sides]
            rows.append([model, quantity, unit, *means, *_ratio(ratio)])
    for comparison in aa.target_comparisons(tables):
        means = [f"{seconds:.2f}" for seconds in comparison.seconds]
        rows.append(
            [
                comparison.model,
                f"time to {comparison.target:g} %",
                "s",
                *means,
                *_ratio(comparison.seconds_ratio),
            ]
        )
    note = (
        f"A ratio above 1 means that {FIRST} is faster in training and prediction, and that it takes more "
        "memory or seconds in the others. It is reported where each framework over itself (A/A) "
        f"is within ±{100 * aa.EXACT:g} %, or within a third of the ratio's distance from 1."
    )
    return Table("speed", "Speed and memory", note, headings, rows)


def _ratio(measured: MeasuredRatio | None) -> list[str]:
    """Ratio, its interval, number of rounds or pairs, and the clock's error in percent."""
    if measured is None:
        return ["", "", "", "", ""]
    ratio, error = measured.ratio, measured.clock_error
    cells = [f"{ratio.mean:.3f}", *_bounds(ratio.interval, ".3f")] if measured.borne else ["", "", ""]
    return [*cells, str(ratio.n), f"{100 * math.expm1(error):.1f}" if math.isfinite(error) else ""]


def runs(rows: pd.DataFrame) -> Table:
    """Every row of results.csv with every column, as the file has it."""
    described = columns(Run)
    names = [*RUN_COLUMNS, *(name for name in described if name not in RUN_COLUMNS)]
    headings = [
        Heading(
            *(name, described[name].meaning, described[name].unit),
            number=pd.api.types.is_numeric_dtype(rows[name]),
            shown=name in RUN_COLUMNS,
        )
        for name in names
    ]
    cells = [
        ["" if value != value else format_value(value) for value in values]
        for values in rows[names].itertuples(index=False)
    ]
    note = f"The {len(rows)} rows of results.csv, failed runs and runs with other settings included."
    return Table("runs", "Runs", note, headings, cells, list(rows["run"]))


def _bounds(interval: tuple[float, float] | None, form: str) -> list[str]:
    return ["", ""] if interval is None else [format(bound, form) for bound in interval]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
