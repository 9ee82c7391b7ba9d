"""The figures that the answers of docs/questions.md quote, as text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from common.analysis import mistakes, pooling, rounding
from common.analysis.answer import Answer
from common.analysis.rounding import FirstSteps
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.report import cells
from common.report.ablation_tables import told_effects
from common.report.defaults_tables import differing, snapshot
from common.report.timing_rows import latest, over

FIRST, SECOND = (display_name(name) for name in PAIR)
UNKNOWN = "not recorded yet"


@dataclass(frozen=True, eq=False)
class Facts:
    """The figures of the answers, as text; UNKNOWN where the tables have none."""

    found: Answer

    @cached_property
    def defaults(self) -> dict[str, tuple[str, str]]:
        """By setting: the default of each framework."""
        first, second = (snapshot(self.found.tables.defaults, framework) for framework in PAIR)
        return {item: (first[item], second[item]) for item in first if item in second}

    def default(self, item: str) -> str:
        """`eps=1e-05 in PyTorch and epsilon=0.001 in TensorFlow`."""
        if item not in self.defaults:
            return UNKNOWN
        first, second = self.defaults[item]
        return f"{first} in {FIRST} and {second} in {SECOND}"

    @property
    def uneven_padding(self) -> str:
        """Each library's treatment of `same` padding with a stride."""
        first, second = self.defaults.get("same padding with a stride", (UNKNOWN, UNKNOWN))
        verb, _, reason = first.partition(": ")  # `refused: why`
        return (
            f"With a stride of 2 it is {verb} in {FIRST}{f' ({reason})' if reason else ''}; in {SECOND} an "
            f"odd row or column of zeros is {second}."
        )

    @property
    def differing_defaults(self) -> str:
        """`17 of 19`."""
        number, of = differing(self.found.tables.defaults)
        return f"{number} of {of}" if of else UNKNOWN

    @property
    def difference(self) -> str:
        """The difference of accuracies over all networks."""
        pooled = self.found.accuracy
        if pooled is None:
            return UNKNOWN
        low, high = pooled.interval
        return (
            f"over {pooled.networks} networks {FIRST} minus {SECOND} is {pooled.mean:+.3f} points (95 % "
            f"{low:+.3f} to {high:+.3f})"
        )

    @cached_property
    def first_steps(self) -> list[FirstSteps]:
        return rounding.first_steps(self.found.tables.traces)

    @property
    def float64_error(self) -> str:
        """The largest relative difference of losses in double precision, where it stays small."""
        if not self.first_steps:
            return UNKNOWN
        error, within, others = rounding.in_double_precision(self.first_steps)
        return f"{error:.0e} in {within} of {within + len(others)} comparisons"

    @property
    def first_loss(self) -> str:
        """The largest difference of the first loss in single precision."""
        errors = [steps.largest(lambda seed: seed.between_frameworks[:1]) for steps in self.first_steps]
        return f"{max(errors):.0e} nats" if errors else UNKNOWN

    @property
    def later_losses(self) -> str:
        """The largest differences of the traced losses in single precision, smallest and largest network."""
        errors = [steps.largest(lambda seed: seed.between_frameworks) for steps in self.first_steps]
        return f"{min(errors):.0e} to {max(errors):.0e} nats" if errors else UNKNOWN

    @property
    def rounding_ratios(self) -> str:
        """The networks' largest differences over those of rounding alone."""
        ratios = [steps.overall_ratio for steps in self.first_steps]
        return f"{min(ratios):.1f} to {max(ratios):.1f} times" if ratios else UNKNOWN

    @property
    def highest_ratio(self) -> str:
        """The highest ratio to rounding alone of a network and seed."""
        ratios = [steps.highest for steps in self.first_steps]
        return f"{max(ratios):,.0f} times" if ratios else UNKNOWN

    def effect(self, part: str) -> str:
        """The effects of leaving a part to each framework."""
        return told_effects(self.found.tables.runs, part) or UNKNOWN

    def costs(self, mistake: str) -> str:
        """`+4.90 (+3.74 to +6.06) points in `nextjournal``: what a classical mistake costs each network."""
        found = [cost for cost in mistakes.costs(self.found.tables.mistakes) if cost.mistake.name == mistake]
        costs = [f"{cells.difference(cost.points, 2)} points in `{cost.model}`" for cost in found]
        return cells.enumerated(costs) or UNKNOWN

    @property
    def compiled_steps(self) -> str:
        """`0.65 to 1.24 times as long in PyTorch and ...`: steps with `--compile` over those without."""
        parts = []
        for framework in PAIR:
            steps = [each for each in latest(self.found.tables.speed) if each.framework == framework]
            ratios = [
                ratio
                for each in steps
                if (ratio := over(*(each.value("option", arm) for arm in ("compile", "default"))))
            ]
            if ratios:
                span = f"{min(ratios):,.1f} to {max(ratios):,.1f} times"
                parts.append(f"{span} as long in {display_name(framework)}")
        return cells.enumerated(parts) or UNKNOWN

    @property
    def pair_spreads(self) -> str:
        """The standard deviations of the differences of pairs, smallest and largest network."""
        sds = [pair.comparison.sd for pair in self.found.pairs if pair.comparison.sd is not None]
        return f"{min(sds):.2f} to {max(sds):.2f} points" if sds else UNKNOWN

    @property
    def spreads(self) -> str:
        """The standard deviations of the accuracies over seeds, smallest and largest network."""
        sds = [
            summary.sd
            for pair in self.found.pairs
            for group in (pair.first, pair.second)
            if (summary := group.summary("accuracy")) and summary.sd is not None
        ]
        return f"{min(sds):.2f} to {max(sds):.2f} points" if sds else UNKNOWN

    @property
    def repeats(self) -> str:
        """Of how many seeds that were run again on one machine all runs have the same test loss."""
        columns = ["framework", *pooling.ENVIRONMENT, "device", "world_size", "model", "seed", "numerics"]
        runs = pooling.zoo_runs(self.found.tables.runs)
        again = runs[runs.duplicated(columns, keep=False)]
        parts = []
        for framework in FRAMEWORKS:
            groups = [
                rows for _, rows in again[again["framework"] == framework].groupby(columns, dropna=False)
            ]
            equal = sum(rows["loss"].nunique() == 1 for rows in groups)
            if groups:
                parts.append(f"{equal} of {len(groups)} in {display_name(framework)}")
        return ", ".join(parts) or UNKNOWN

    @property
    def equal_rates(self) -> str:
        """In how many epochs that both frameworks recorded they had the same learning rate."""
        runs = pooling.judged_runs(self.found.tables.runs)[["run", "model", "framework"]]
        rates = self.found.tables.epochs.dropna(subset=["lr"]).merge(runs, on="run")
        by_epoch = rates.groupby(["model", "epoch"]).agg({"framework": "nunique", "lr": "nunique"})
        both = by_epoch[by_epoch["framework"] == len(PAIR)]
        return f"{int((both['lr'] == 1).sum())} of {len(both)}" if len(both) else UNKNOWN

    @property
    def percent_of_product(self) -> str:
        """The arithmetic of a training step in percent of a matrix product's, lowest and highest of the
        networks' last sessions."""
        rows = self.found.tables.speed[self.found.tables.speed["measure"] == "gflops"]
        last = rows["sitting"] == rows.groupby(["model", "framework"])["sitting"].transform("max")
        table = rows[last].pivot_table("value", index=["model", "framework"], columns="arm", aggfunc="last")
        if not {"training", "product"} <= set(table.columns):
            return UNKNOWN
        percent = (100 * table["training"] / table["product"]).dropna()
        return f"{percent.min():.0f} to {percent.max():.0f} %"
