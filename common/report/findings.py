"""The sentences with which the sections of benchmarks.md open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pandas as pd

from common.analysis import ablation, rounding
from common.analysis.answer import Answer
from common.analysis.pooling import Group
from common.frameworks import PAIR, display_name
from common.report import answer, cells
from common.report.defaults_tables import differing
from common.tables.schema import Status

FIRST, SECOND = (display_name(name) for name in PAIR)


def most_accurate(groups: Sequence[Group]) -> str:
    """The network of the group with the highest mean test accuracy, and its accuracy in each framework."""
    means = [(summary.mean, group.model) for group in groups if (summary := group.summary("accuracy"))]
    if not means:
        return ""
    _, best = max(means)
    accuracies = [
        f"{cells.accuracy(group, 'accuracy')} in {display_name(group.framework)}"
        for group in groups
        if group.model == best
    ]
    networks = len({model for _, model in means})
    return f"The most accurate of {networks} networks is `{best}`: {', '.join(accuracies)}."


def first_steps(traces: pd.DataFrame) -> str:
    """Agreement of the frameworks' first losses, in double and in single precision."""
    networks = rounding.first_steps(traces)
    if not networks:
        return ""
    error, within, others = rounding.in_double_precision(networks)
    grown = "".join(
        f" With seed {each.seed} of `{each.model}` rounding grows in double precision too, to "
        f"{each.float64_error.max():.0e}."
        for each in others
    )
    ratios = [steps.overall_ratio for steps in networks]
    medians = [steps.quartiles[1] for steps in networks]
    numbers = sorted({len(steps.comparisons) for steps in networks})
    seeds = " to ".join(str(number) for number in dict.fromkeys([numbers[0], numbers[-1]]))
    return (
        f"In double precision the first losses of both frameworks agree to {error:.0e} (relative) in "
        f"{within} of {within + len(others)} comparisons of {len(networks)} networks.{grown} In single "
        "precision the largest difference within the steps is "
        f"{min(ratios):.1f} to {max(ratios):.1f} times the largest that rounding alone makes ({seeds} seeds "
        f"a network). Step by step one difference can grow before the other: there the highest ratio is "
        f"{min(medians):.1f} to {max(medians):.1f} (medians of the networks), and up to "
        f"{max(steps.highest for steps in networks):,.0f} with one seed."
    )


def defaults(rows: pd.DataFrame) -> str:
    """The number of defaults that differ."""
    number, of = differing(rows)
    return f"{FIRST} and {SECOND} differ in {number} of the {of} defaults that were read." if of else ""


def ablations(found: Answer) -> str:
    """The largest difference with own defaults, and the number of effects that are no chance."""
    measured = ablation.ablations(found.tables.runs)
    if not measured:
        return ""
    family = ablation.family_size(measured)
    adjusted = [ablation.adjusted(effect, family=family) for each in measured for effect in each.effects()]
    outside = sum(map(answer.is_certain, adjusted))
    gap = f"{answer.capitalised(answer.defaults(found))} " if found.own_defaults else ""
    return (
        f"{gap}Of the {family} effects below, of parts, of all of them and of their interaction, {outside} "
        "have an interval without 0."
    )


def other_settings(groups: Sequence[Group]) -> str:
    """The number of groups of other settings."""
    return (
        f"Groups of runs with other settings or older arithmetic: {len(groups)}. Of the sections above only "
        "the ablation and the comparison with the frameworks' own loaders have some of them."
    )


def counted(runs: pd.DataFrame) -> str:
    """`12 runs: 10 ok, 1 diverged, 1 interrupted`."""
    counts = [f"{int((runs['status'] == status).sum())} {status}" for status in get_args(Status)]
    return f"{len(runs)} runs: {', '.join(counts)}"
