"""What does each part left to a framework's own defaults move? From matched, one part at a time, then all.

Runs with one seed are a pair, so what a rung moves is a mean of differences with Student's 95 % interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.pooling import Group
from common.analysis.significance import Comparison
from common.frameworks import FRAMEWORKS, display_name
from common.model.spec import BatchNorm, ModelSpec
from common.model.zoo import ZOO
from common.report.markdown import markdown
from common.training.backend import NATIVE_PARTS

NONE, ALL = "none", "all"
WORDS = {"init": "initialisation", "norm": "batch normalisation", "optimizer": "the optimizer"}


def variants(spec: ModelSpec) -> list[str]:
    """What is left to the frameworks on each rung: `none`, one part, ..., `all`."""
    return [NONE, *(part for part in NATIVE_PARTS if part not in inapplicable_parts(spec)), ALL]


def inapplicable_parts(spec: ModelSpec) -> dict[str, str]:
    """Parts whose defaults change nothing in `spec`, each with a sentence on why."""
    if any(isinstance(node.layer, BatchNorm) for node in spec.nodes()):
        return {}
    return {"norm": f"{spec.name} has no BatchNorm, so --native norm changes nothing; it is not run."}


def native_column(rung: str) -> str:
    """A rung as the column `native` has it."""
    return "+".join(sorted(NATIVE_PARTS)) if rung == ALL else rung


@dataclass(frozen=True)
class Ablation:
    """A network's runs in each framework on each rung, those that were run."""

    model: str
    groups: Mapping[tuple[str, str], Group]

    @cached_property
    def machine(self) -> str:
        """The one that made most of the runs above matched. Only its runs are on the ladder: times of others
        cannot be compared, and on one machine a rung that changes nothing moves nothing."""
        made = [group.runs["machine"] for (_, rung), group in self.groups.items() if rung != NONE]
        return str(pd.concat(made).mode().iloc[0])

    def values(self, framework: str, rung: str, column: str) -> dict[int, float]:
        """By seed; empty where the rung was not run."""
        group = self.groups.get((framework, rung))
        if group is None:
            return {}
        return pooling.by_seed(Group(group.fields, group.runs[group.runs["machine"] == self.machine]), column)

    def effect(self, framework: str, rung: str, column: str) -> Comparison | None:
        """A rung less matched, by seed."""
        return _compare(self.values(framework, rung, column), self.values(framework, NONE, column))

    def gap(self, rung: str, *, beyond: str | None = None) -> Comparison | None:
        """Accuracy of the first framework less that of the second on a rung; less that `beyond` another."""
        pair = [rung, beyond] if beyond else [rung]
        known = [self.values(framework, one, "accuracy") for one in pair for framework in FRAMEWORKS]
        seeds = set.intersection(*map(set, known))
        if not seeds:
            return None
        gaps = [
            {seed: first[seed] - second[seed] for seed in seeds}
            for first, second in zip(known[::2], known[1::2], strict=True)
        ]
        return _compare(gaps[0], gaps[1] if beyond else dict.fromkeys(seeds, 0.0))


def ablations(runs: pd.DataFrame) -> list[Ablation]:
    """Every network of which some rung above `none` was run, in the zoo's order."""
    found: dict[str, dict[tuple[str, str], Group]] = {}
    own = pooling.zoo_runs(runs.assign(native=NONE)).index
    for group in pooling.largest_groups(pooling.groups(runs.loc[own]), by="native"):
        for rung in variants(ZOO[group.model].spec):
            if group.fields["native"] == native_column(rung):
                found.setdefault(group.model, {})[group.framework, rung] = group
    return [
        Ablation(model, groups) for model, groups in found.items() if any(rung != NONE for _, rung in groups)
    ]


def section(runs: pd.DataFrame) -> str:
    """The ladders as tables, with a sentence on where the gap between the frameworks comes from."""
    found = ablations(runs)
    if not found:
        return "No ladder has been run yet: `python -m common.bench ablation MODEL`."
    note = (
        "With `--native PART` that part is left to each framework's own defaults, with `all` every part. "
        "Accuracies in percent, and seconds of training, are means over seeds; MOVED is the difference from "
        "matched, runs with one seed in pairs, with the 95 % interval of its mean. All runs of a ladder are "
        "of one machine, so a part that changes nothing moves nothing."
    )
    return "\n\n".join([note, *(_table(ladder) for ladder in found)])


def _table(ladder: Ablation) -> str:
    head = "FRAMEWORK | NATIVE | SEEDS | ACCURACY | MOVED | TRAIN S | MOVED S"
    rows = []
    for framework in FRAMEWORKS:
        for rung in variants(ZOO[ladder.model].spec):
            group = ladder.groups.get((framework, rung))
            if group is None:
                continue
            cells = []
            for column, digits in (("accuracy", 2), ("train_seconds", 1)):
                known = ladder.values(framework, rung, column)
                moved = None if rung == NONE else ladder.effect(framework, rung, column)
                mean = f"{significance.summary(known.values()).mean:.{digits}f}" if known else ""
                cells += [mean, format_effect(moved, digits)]
            name = [display_name(framework), "matched" if rung == NONE else f"`{rung}`"]
            rows.append([*name, str(len(ladder.values(framework, rung, "accuracy"))), *cells])
    notes = [f"Not run: {sentence}" for sentence in inapplicable_parts(ZOO[ladder.model].spec).values()]
    table = markdown(head.split(" | "), rows, right=range(2, 7))
    return "\n\n".join([f"### `{ladder.model}`", table, *_attribution(ladder), *notes])


def _attribution(ladder: Ablation) -> list[str]:
    """Of the gap with all parts native, what each part brings, and what remains of it."""
    gap, matched = ladder.gap(ALL), ladder.gap(NONE)
    if gap is None or matched is None:
        return []
    first, second = map(display_name, FRAMEWORKS)
    parts, known = [], matched.mean
    for rung in variants(ZOO[ladder.model].spec)[1:-1]:
        brought = ladder.gap(rung, beyond=NONE)
        if brought is not None:
            parts.append(f"{format_effect(brought)} is {WORDS[rung]}")
            known += brought.mean
    parts.append(f"{format_effect(matched)} is there when all is matched")
    parts.append(f"{gap.mean - known:+.2f} comes of the parts together")
    return [
        f"With all parts native {first} less {second} is {format_effect(gap)} points: of these "
        f"{', '.join(parts)}."
    ]


def format_effect(comparison: Comparison | None, digits: int = 2) -> str:
    """`+0.17 (+0.05 to +0.29)`."""
    if comparison is None:
        return ""
    if comparison.interval is None:
        return f"{comparison.mean:+.{digits}f} (one pair)"
    low, high = comparison.interval
    return f"{comparison.mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _compare(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison | None:
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return None
    return significance.compare([first[seed] for seed in seeds], [second[seed] for seed in seeds])
