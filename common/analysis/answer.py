"""The tables' answer about the frameworks in a few numbers: accuracy, speed, memory, start-up, defaults.

Ratios of times and memory are those of A/A sessions (`common.analysis.aa`), with the error of their clock.
The geometric mean of a quantity is over all networks, whatever their clocks.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from common.analysis import aa, ablation, meta, pooling, significance
from common.analysis.aa import MeasuredRatio
from common.analysis.ablation import Attribution
from common.analysis.frames import Tables
from common.analysis.meta import Pooled
from common.analysis.pooling import sort_key
from common.analysis.verdicts import ModelVerdict, Pair, compared, judge
from common.frameworks import PAIR
from common.model.zoo import ZOO

NO_GPU = "no GPU used"
SINGLE_IMAGES = "batch 1"
"""The arm of speed.csv in which images are predicted one at a time."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One of aa.QUANTITIES: the first framework over the second.

    `overall` is the mean over networks, None for fewer than two. `means` are each framework's own mean over
    networks, in the order of PAIR.
    """

    overall: MeasuredRatio | None
    by_model: Mapping[str, MeasuredRatio]
    means: tuple[float, float]

    @property
    def borne(self) -> dict[str, float]:
        """The ratios whose clock bears them, by network."""
        return {model: each.ratio.mean for model, each in self.by_model.items() if each.borne}


@dataclass(frozen=True, eq=False)
class Answer:
    """The comparison of both frameworks in the recorded tables."""

    tables: Tables

    @cached_property
    def pairs(self) -> list[Pair]:
        """The networks with pairs of runs and their comparisons, in the zoo's order."""
        return compared(self.tables)[0]

    @cached_property
    def verdicts(self) -> list[ModelVerdict]:
        """By network, in the zoo's order."""
        return judge(self.tables)[0]

    @cached_property
    def accuracy(self) -> Pooled | None:
        """The difference of test accuracies over all networks; None for too few of them."""
        return meta.pooled([pair.comparison for pair in self.pairs])

    @cached_property
    def other_data(self) -> dict[str, list[ModelVerdict]]:
        """The verdicts on each of pooling.OTHER_DATA with pairs of runs, by its name in the tables."""
        verdicts = {name: judge(self.tables, dataset=name)[0] for name in pooling.OTHER_DATA}
        return {name: judged for name, judged in verdicts.items() if judged}

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Those of aa.QUANTITIES that a session has measured in both frameworks, by name."""
        measured = {name: _quantity(self.tables.speed, name) for name in aa.QUANTITIES}
        return {name: quantity for name, quantity in measured.items() if quantity}

    @cached_property
    def single_images(self) -> dict[str, float]:
        """Images a second that are predicted one at a time, first framework over second, by network."""
        speed = self.tables.speed
        pairs = _pairs(speed[(speed["measure"] == "predict") & (speed["arm"] == SINGLE_IMAGES)])
        return {model: first / second for model, (first, second) in pairs.items()}

    def starts(self, program: str = "first step") -> dict[str, tuple[float, float]]:
        """Seconds from the start of a process to the end of its first training step, in the order of PAIR, by
        network that a session started in both frameworks; with "plain step" of the shortest programs."""
        speed = self.tables.speed
        return _pairs(speed[(speed["measure"] == "start") & (speed["arm"] == program)])

    @cached_property
    def own_defaults(self) -> dict[str, Attribution]:
        """The difference of accuracies with all parts left to the frameworks' own defaults, and what each
        part adds to it, by network. The intervals hold at once with those of all other effects."""
        measured = ablation.ablations(self.tables.runs)
        family = ablation.family_size(measured)
        whole = {each.model: each.attribution for each in measured}
        return {model: ablation.simultaneous(found, family=family) for model, found in whole.items() if found}

    @cached_property
    def machines(self) -> list[str]:
        """The processors on which the quantities and the single images were measured."""
        timed = self._timed
        return sorted(set(timed["machine"].where(timed["device"] != "cpu", timed["machine"] + f"; {NO_GPU}")))

    @cached_property
    def versions(self) -> dict[str, list[str]]:
        """By framework of PAIR with measured times, the versions that were measured."""
        by_framework = self._timed.groupby("framework")["framework_version"].unique()
        return {name: sorted(by_framework[name]) for name in PAIR if name in by_framework}

    @property
    def _timed(self) -> pd.DataFrame:
        """The rows of speed.csv behind the quantities and the single images: of the last session of each
        network that measured both frameworks."""
        speed = self.tables.speed
        rows = speed[speed["measure"].str.startswith(aa.PREFIX) | (speed["measure"] == "predict")]
        rows = rows[rows["framework"].isin(PAIR)]
        session = rows.groupby(["model", "measure", "sitting"])["framework"]
        rows = rows[session.transform("nunique") == len(PAIR)]
        return rows[rows["sitting"] == rows.groupby(["model", "measure"])["sitting"].transform("max")]


@functools.lru_cache(maxsize=2)
def answer_of(tables: Tables) -> Answer:
    """The answer of these tables: always the same one, which computes each number once."""
    return Answer(tables)


def _quantity(speed: pd.DataFrame, name: str) -> Quantity | None:
    pairs = aa.aa_pairs(speed, name)
    by_model = {}
    for model in sorted({model for model, _ in pairs}, key=lambda model: sort_key(model, ZOO)):
        if all((model, framework) in pairs for framework in PAIR):
            ratio = aa.measured_ratio(*(pairs[model, framework] for framework in PAIR))
            if ratio:
                by_model[model] = ratio
    if not by_model:
        return None
    first, second = (
        significance.summary(pairs[model, framework].mean for model in by_model).mean for framework in PAIR
    )
    return Quantity(overall=aa.over_networks(pairs), by_model=by_model, means=(first, second))


def _pairs(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """The values of the first and of the second framework in the last session that has both, by network."""
    table = rows.pivot_table("value", index=["model", "sitting"], columns="framework", aggfunc="last")
    if not set(PAIR) <= set(table.columns):
        return {}
    both = table[list(PAIR)].dropna().groupby("model").last()
    models = sorted(both.index, key=lambda model: sort_key(model, ZOO))
    return {str(model): (float(both[PAIR[0]][model]), float(both[PAIR[1]][model])) for model in models}
