"""Ablation: the effect of leaving one part at a time, then all parts, to each framework's own defaults.

The variants are `none` (everything pinned), one part, ..., `all`. Runs with one seed are a pair, so an effect
is a mean of paired differences with Student's 95 % confidence interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.pooling import Group
from common.analysis.significance import Comparison
from common.frameworks import PAIR
from common.model.spec import BatchNorm, ModelSpec
from common.model.zoo import ZOO
from common.training.backend import NATIVE_PARTS

NONE, ALL = "none", "all"


def variants(spec: ModelSpec) -> list[str]:
    """What each variant leaves to the frameworks: `none`, one part, ..., `all`."""
    return [NONE, *(part for part in NATIVE_PARTS if part not in inapplicable_parts(spec)), ALL]


def inapplicable_parts(spec: ModelSpec) -> dict[str, str]:
    """Parts whose defaults change nothing in `spec`, each with the reason as a sentence."""
    if any(isinstance(node.layer, BatchNorm) for node in spec.nodes()):
        return {}
    return {"norm": f"{spec.name} has no BatchNorm, so --native norm changes nothing; it is not run."}


def native_column(variant: str) -> str:
    """The value of the column `native` in the variant's rows."""
    return "+".join(sorted(NATIVE_PARTS)) if variant == ALL else variant


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The gap between the frameworks (accuracy of the first less the second) with all parts native, in parts.

    `parts` holds what each part adds to the gap of the pinned runs (`pinned`); `interaction` is the rest, in
    points.
    """

    gap: Comparison
    pinned: Comparison
    parts: Mapping[str, Comparison]
    interaction: float


@dataclass(frozen=True)
class Ablation:
    """A network's recorded runs by framework and variant."""

    model: str
    groups: Mapping[tuple[str, str], Group]

    @cached_property
    def machine(self) -> str:
        """The machine that made most of the runs with a part native. Only its runs count: times of different
        machines cannot be compared, and on one machine a variant that changes nothing has no effect."""
        machines = [group.runs["machine"] for (_, variant), group in self.groups.items() if variant != NONE]
        return str(pd.concat(machines).mode().iloc[0])

    def values(self, framework: str, variant: str, column: str) -> dict[int, float]:
        """By seed; empty where the variant was not run."""
        group = self.groups.get((framework, variant))
        if group is None:
            return {}
        runs = group.runs[group.runs["machine"] == self.machine]
        return pooling.by_seed(Group(group.fields, runs), column)

    def effect(self, framework: str, variant: str, column: str) -> Comparison | None:
        """The variant less the pinned runs, paired by seed."""
        return _compare(self.values(framework, variant, column), self.values(framework, NONE, column))

    def gap(self, variant: str, *, beyond: str | None = None) -> Comparison | None:
        """Accuracy of the first framework less the second in a variant, less the gap `beyond` another."""
        variants = [variant, beyond] if beyond else [variant]
        accuracies = [self.values(framework, name, "accuracy") for name in variants for framework in PAIR]
        seeds = set.intersection(*map(set, accuracies))
        if not seeds:
            return None
        gaps = [
            {seed: first[seed] - second[seed] for seed in seeds}
            for first, second in zip(accuracies[::2], accuracies[1::2], strict=True)
        ]
        return _compare(gaps[0], gaps[1] if beyond else dict.fromkeys(seeds, 0.0))

    @property
    def attribution(self) -> Attribution | None:
        """None unless both frameworks ran `none` and `all` with seeds in common."""
        gap, pinned = self.gap(ALL), self.gap(NONE)
        if gap is None or pinned is None:
            return None
        added = {part: self.gap(part, beyond=NONE) for part in variants(ZOO[self.model].spec)[1:-1]}
        parts = {part: comparison for part, comparison in added.items() if comparison is not None}
        explained = pinned.mean + sum(comparison.mean for comparison in parts.values())
        return Attribution(gap=gap, pinned=pinned, parts=parts, interaction=gap.mean - explained)


def ablations(runs: pd.DataFrame) -> list[Ablation]:
    """Every network with runs of a variant other than `none`, in the zoo's order."""
    by_model: dict[str, dict[tuple[str, str], Group]] = {}
    rows = pooling.zoo_runs(runs.assign(native=NONE)).index
    for group in pooling.largest_groups(pooling.groups(runs.loc[rows]), by="native"):
        for variant in variants(ZOO[group.model].spec):
            if group.fields["native"] == native_column(variant):
                by_model.setdefault(group.model, {})[group.framework, variant] = group
    return [
        Ablation(model, groups)
        for model, groups in by_model.items()
        if any(variant != NONE for _, variant in groups)
    ]


def _compare(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison | None:
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return None
    return significance.compare([first[seed] for seed in seeds], [second[seed] for seed in seeds])
