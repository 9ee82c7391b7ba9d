"""Ablation: the effect of leaving one part at a time, then all parts, to each framework's own defaults.

The variants are `none` (everything pinned), one part, ..., `all`. Runs with one seed are a pair, so an effect
is a mean of paired differences. Many effects are looked at together, so their intervals are simultaneous
(`adjusted`). Where a part's default is what the pinned runs have already, its variant is a negative control:
it changes the draw and not the distribution, and an effect there is chance.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import scipy.stats

from common.analysis import pooling, significance
from common.analysis.pooling import Group
from common.analysis.significance import ALPHA, Comparison
from common.frameworks import FRAMEWORKS, PAIR
from common.model.layers import BatchNorm, GroupNorm
from common.model.spec import ModelSpec
from common.model.zoo import ZOO
from common.training.backend import NATIVE_PARTS

NONE, ALL = "none", "all"
ALL_VARIANTS = (NONE, *NATIVE_PARTS, ALL)

PLACE = ["machine", "device", "threads", "world_size"]
CODE = ["commit", "framework_version", "python"]
SECONDS = "train_seconds"
"""Columns of a run."""

FEWEST_TIMED = 5
"""Seeds whose seconds have an effect: of fewer its simultaneous interval says nothing."""


def variants(spec: ModelSpec) -> list[str]:
    """Variants, named by what each leaves to the frameworks: `none`, one part, ..., `all`."""
    return [NONE, *(part for part in NATIVE_PARTS if part not in inapplicable_parts(spec)), ALL]


def inapplicable_parts(spec: ModelSpec) -> dict[str, str]:
    """Parts whose defaults change nothing in `spec`, each with the reason as a sentence."""
    if any(isinstance(node.layer, BatchNorm | GroupNorm) for node in spec.leaves()):
        return {}
    return {
        "norm": f"{spec.name} has neither BatchNorm nor GroupNorm, so --native norm "
        "changes nothing; it is not run."
    }


def is_negative_control(spec: ModelSpec, framework: str, variant: str) -> bool:
    """Whether the variant draws initial weights from the distribution that `spec` has already."""
    return variant == "init" and framework in FRAMEWORKS and FRAMEWORKS[framework].init == spec.init


def native_column(variant: str) -> str:
    """The value of the column `native` in the variant's rows."""
    return "+".join(sorted(NATIVE_PARTS)) if variant == ALL else variant


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The gap between the frameworks (accuracy of the first less the second) with all parts native, in parts.

    `parts` holds what each part adds to the gap of the pinned runs (`pinned`); `interaction` is the rest. All
    are of the same seeds, so each seed's gap is the sum of the others.
    """

    gap: Comparison
    pinned: Comparison
    parts: Mapping[str, Comparison]
    interaction: Comparison


@dataclass(frozen=True)
class Ablation:
    """A network's recorded runs by framework and variant, of one recipe on one data set and in one PLACE."""

    model: str
    groups: Mapping[tuple[str, str], Group]

    @property
    def variants(self) -> list[str]:
        """Those with runs, in the order of the function `variants`."""
        recorded = {variant for _, variant in self.groups}
        return [variant for variant in ALL_VARIANTS if variant in recorded]

    def values(self, framework: str, variant: str, column: str) -> dict[int, float]:
        """By seed; empty where the variant was not run. Seconds are only of runs that had the machine to
        themselves, with the CODE of most of them, and of FEWEST_TIMED seeds at least."""
        group = self.groups.get((framework, variant))
        if group is None:
            return {}
        runs = group.runs
        if column == SECONDS:
            runs = runs[pooling.timed(runs) & (runs[CODE] == self._code(framework)).all(axis=1)]
        found = pooling.by_seed(Group(group.fields, runs), column)
        return {} if column == SECONDS and len(found) < FEWEST_TIMED else found

    def _code(self, framework: str) -> pd.Series[str]:
        """The CODE of most of the framework's timed runs, of those with a part native if there are any."""
        groups = {variant: group.runs for (name, variant), group in self.groups.items() if name == framework}
        timed = {variant: runs[pooling.timed(runs)] for variant, runs in groups.items()}
        native = [runs for variant, runs in timed.items() if variant != NONE and len(runs)]
        codes = pd.concat(native or timed.values())[CODE].value_counts().reset_index()[CODE]
        return codes.iloc[0] if len(codes) else pd.Series("", CODE)

    def effect(self, framework: str, variant: str, column: str) -> Comparison | None:
        """The variant less the pinned runs, paired by seed; None for these, without a seed in common, and of
        seconds with fewer than FEWEST_TIMED."""
        if variant == NONE:
            return None
        pair = self.values(framework, variant, column), self.values(framework, NONE, column)
        seeds = set.intersection(*map(set, pair))
        return _compared(*pair, seeds) if len(seeds) >= (FEWEST_TIMED if column == SECONDS else 1) else None

    def shown_seeds(self, framework: str, variant: str) -> set[int]:
        """The seeds with an accuracy; of the pinned runs only those that another variant has too."""
        seeds = set(self.values(framework, variant, "accuracy"))
        if variant != NONE:
            return seeds
        others = [set(self.values(framework, other, "accuracy")) for other in self.variants if other != NONE]
        return seeds.intersection(set().union(*others))

    def gaps(self, variant: str) -> dict[int, float]:
        """Accuracy of the first framework less the second in a variant, by seed."""
        first, second = (self.values(framework, variant, "accuracy") for framework in PAIR)
        return {seed: first[seed] - second[seed] for seed in set(first) & set(second)}

    @property
    def attribution(self) -> Attribution | None:
        """None unless both frameworks ran `none` and `all` with seeds in common, which their other variants
        have too: a part that only one of them ran would count as the parts' interaction."""
        gaps = {variant: self.gaps(variant) for variant in dict.fromkeys([NONE, *self.variants, ALL])}
        seeds = set.intersection(*map(set, gaps.values()))
        if not seeds:
            return None
        pinned, parts = gaps.pop(NONE), gaps
        whole = parts.pop(ALL)
        expected = {
            seed: pinned[seed] + math.fsum(part[seed] - pinned[seed] for part in parts.values())
            for seed in seeds
        }
        nothing = dict.fromkeys(seeds, 0.0)
        return Attribution(
            gap=_compared(whole, nothing, seeds),
            pinned=_compared(pinned, nothing, seeds),
            parts={part: _compared(by_seed, pinned, seeds) for part, by_seed in parts.items()},
            interaction=_compared(whole, expected, seeds),
        )

    def effects(self) -> Iterator[Comparison]:
        """Every effect of the page: of each variant on accuracy and seconds, and the parts of the gap."""
        for framework in FRAMEWORKS:
            for variant in self.variants:
                for column in ("accuracy", SECONDS):
                    if effect := self.effect(framework, variant, column):
                        yield effect
        if attribution := self.attribution:
            yield from (attribution.gap, attribution.pinned, attribution.interaction)
            yield from attribution.parts.values()


def simultaneous(attribution: Attribution, *, family: int) -> Attribution:
    """The attribution with intervals of `family` simultaneous ones (`adjusted`)."""
    return Attribution(
        gap=adjusted(attribution.gap, family=family),
        pinned=adjusted(attribution.pinned, family=family),
        parts={part: adjusted(added, family=family) for part, added in attribution.parts.items()},
        interaction=adjusted(attribution.interaction, family=family),
    )


def family_size(measured: Sequence[Ablation]) -> int:
    """The number of all effects that have an interval."""
    return sum(effect.interval is not None for ablation in measured for effect in ablation.effects())


def adjusted(effect: Comparison, *, family: int) -> Comparison:
    """The effect with one of `family` simultaneous 95 % confidence intervals.

    By Bonferroni's inequality (Dunn, 1961): each has the level 1 - ALPHA / family, so all of them hold at
    once with a probability of at least 1 - ALPHA.
    """
    if effect.sd is None:
        return effect
    t = float(scipy.stats.t.isf(ALPHA / family / 2, effect.n - 1))
    half = t * effect.sd / math.sqrt(effect.n)
    return dataclasses.replace(effect, interval=(effect.mean - half, effect.mean + half))


def ablations(runs: pd.DataFrame) -> list[Ablation]:
    """Every network of the zoo with runs of a variant other than `none`, in the zoo's order."""
    selected = runs.loc[pooling.zoo_runs(runs.assign(native=NONE)).index]
    found = (
        of_recipe(selected[selected["model"] == entry.name], variants(entry.spec)) for entry in ZOO.values()
    )
    return list(filter(None, found))


def of_recipe(runs: pd.DataFrame, wanted: Sequence[str] = ALL_VARIANTS) -> Ablation | None:
    """The ablation in the rows of one recipe on one data set; None without runs of a variant other than
    `none`. Only the variants `wanted` count."""
    if runs.empty:
        return None
    dataset = str(runs["dataset"].iloc[0])
    comparable = runs.loc[pooling.default_runs(runs.assign(native=NONE), dataset=dataset).index]
    columns = {native_column(variant): variant for variant in wanted}
    comparable = comparable[comparable["native"].isin(columns)]
    native = comparable[comparable["native"] != NONE]
    if native.empty:
        return None
    in_place = comparable[(comparable[PLACE] == pd.Series(_place(native), PLACE)).all(axis=1)]
    groups = {
        (group.framework, columns[str(group.fields["native"])]): group
        for group in pooling.largest_groups(pooling.groups(in_place), by="native")
    }
    return Ablation(str(runs["model"].iloc[0]), groups)


def _place(native: pd.DataFrame) -> tuple[object, ...]:
    """The PLACE whose runs are the ablation, of runs with a part native: that with the most variants and
    seeds in both frameworks, and of equals that with the most runs.

    Only its runs count: times of different machines cannot be compared, and in one place a variant that
    changes nothing has no effect, as all sums are rounded in one order.
    """

    def rank(item: tuple[object, pd.DataFrame]) -> tuple[int, int]:
        runs = item[1].groupby("framework")[["native", "seed"]]
        by_framework = {name: set(zip(rows["native"], rows["seed"], strict=True)) for name, rows in runs}
        return len(set.intersection(*(by_framework.get(name, set()) for name in PAIR))), len(item[1])

    place: tuple[object, ...]
    place, _ = max(native.groupby(PLACE), key=rank)
    return place


def _compared(first: Mapping[int, float], second: Mapping[int, float], seeds: set[int]) -> Comparison:
    ordered = sorted(seeds)
    return significance.compare([first[seed] for seed in ordered], [second[seed] for seed in ordered])
