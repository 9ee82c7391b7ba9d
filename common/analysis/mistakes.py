"""The cost of each classical mistake of a port: points of accuracy below the right run of the same seed.

Many costs are looked at together, so their intervals are simultaneous (`ablation.adjusted`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from common.analysis import significance
from common.analysis.ablation import adjusted
from common.analysis.significance import Comparison
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO
from common.training.mistakes import MISTAKES, Mistake

FLOORS = 10.0
"""A forward check finds a difference of more than so many times what rounding alone makes."""

Runs = Mapping[str, Mapping[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of a mistake to a network: the right run's accuracy less that of the run with the mistake, in
    points, paired by seed.

    `diverged` counts the seeds whose loss became infinite. `found` says whether the forward check of any seed
    finds the mistake.
    """

    mistake: Mistake
    model: str
    points: Comparison
    diverged: int
    found: bool

    @property
    def is_certain(self) -> bool:
        """Whether the simultaneous interval of the cost is above 0."""
        return self.points.interval is not None and self.points.interval[0] > 0


def recorded(rows: pd.DataFrame) -> Mapping[tuple[str, str, int], Runs]:
    """The rows of each framework, network of the zoo and seed, by mistake: those of its last process.

    Only rows of the zoo's present recipes count, and of a network in a framework only those of its newest
    arithmetic.
    """
    present = {name: recipe_hash(entry.spec, entry.recipe) for name, entry in ZOO.items()}
    rows = rows[rows["recipe_hash"] == rows["model"].map(present)]
    newest = rows.groupby(["framework", "model"])["numerics"].transform("max")
    rows = rows[rows["numerics"] == newest]
    last = rows.groupby(["framework", "model", "seed"])["started"].transform("max")
    result: dict[tuple[str, str, int], dict[str, Mapping[Any, Any]]] = {}
    for row in rows[rows["started"] == last].to_dict("records"):
        result.setdefault((row["framework"], row["model"], row["seed"]), {})[row["mistake"]] = row
    return result


def costs(rows: pd.DataFrame) -> list[Cost]:
    """The costs of all mistakes with recorded runs, in the order of MISTAKES and of the zoo."""
    processes = recorded(rows)
    found = []
    for mistake in MISTAKES:
        for model in ZOO:
            pairs = [
                (runs[mistake.reference], runs[mistake.name])
                for key, runs in sorted(processes.items())
                if key[:2] == (mistake.framework, model) and {mistake.reference, mistake.name} <= runs.keys()
            ]
            if pairs:
                found.append(_cost(mistake, model, pairs))
    family = sum(cost.points.interval is not None for cost in found)
    return [Cost(**{**vars(cost), "points": adjusted(cost.points, family=max(family, 1))}) for cost in found]


def _cost(mistake: Mistake, model: str, pairs: list[tuple[Mapping[Any, Any], Mapping[Any, Any]]]) -> Cost:
    accuracies = ([float(row["accuracy"]) for row in side] for side in zip(*pairs, strict=True))
    return Cost(
        mistake=mistake,
        model=model,
        points=significance.compare(*accuracies),
        diverged=sum(wrong["status"] == "diverged" for _, wrong in pairs),
        # Not finite, an empty cell, is a difference too.
        found=any(not wrong["difference"] <= FLOORS * wrong["floor"] for _, wrong in pairs),
    )
