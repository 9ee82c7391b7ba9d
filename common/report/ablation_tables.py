"""The ablation of each network as a table, and the gap between the frameworks by part."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd

from common.analysis import significance
from common.analysis.ablation import (
    FEWEST_TIMED,
    NONE,
    SECONDS,
    Ablation,
    ablations,
    adjusted,
    family_size,
    inapplicable_parts,
    is_negative_control,
)
from common.analysis.significance import Comparison
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.model.spec import ModelSpec
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import markdown

PART_NAMES = {"init": "initialisation", "norm": "normalisation", "optimizer": "the optimizer"}


def section(runs: pd.DataFrame) -> str:
    """A table for each network of the zoo, with a sentence on where the gap between the frameworks comes
    from."""
    measured = ablations(runs)
    if not measured:
        return "No ablation has been run yet: `python -m common.bench ablation MODEL`."
    family = family_size(measured)
    control = (
        "A *negative control* draws its initial weights from the distribution that the pinned runs have "
        "already, only by the framework's own generator: an effect there is chance."
    )
    parts = [f"{_note(measured, family)} {control}"]
    for ablation in measured:
        spec = ZOO[ablation.model].spec
        notes = inapplicable_parts(spec).values()
        parts += [
            f"### `{ablation.model}`",
            *_missing(ablation),
            *_attribution(ablation, family),
            _table(ablation, family, spec),
        ]
        parts += notes
    return "\n\n".join(parts)


def of_own(ablation: Ablation) -> str:
    """The table of a network of a user's own file, whose effects are adjusted for no other network."""
    family = family_size([ablation])
    control = (
        "If the file's `init` is a framework's own, `init` changes only the draw in that framework: an "
        "effect there is chance."
    )
    note = f"{_note([ablation], family)} {control}"
    parts = [note, *_attribution(ablation, family), _table(ablation, family)]
    return "\n\n".join(parts)


def _missing(ablation: Ablation) -> list[str]:
    """A sentence on the frameworks whose ablation has not been run; none if there are none."""
    measured = {framework for framework, variant in ablation.groups if variant != NONE}
    lacking = [display_name(name) for name in FRAMEWORKS if name not in measured]
    return [f"Not run in {' and '.join(lacking)}."] if lacking else []


def _note(measured: Sequence[Ablation], family: int) -> str:
    timed = any(_has_seconds(ablation) for ablation in measured)
    seconds = (
        " TRAIN S are seconds of training, of runs that had the machine to themselves, where at least "
        f"{FEWEST_TIMED} seeds have such a run."
    )
    return (
        "With `--native PART` that part is left to each framework's own defaults, with `all` every part. "
        "ACCURACY, in percent, is a mean over seeds; that of the pinned runs is over those that any part was "
        "run with. EFFECT is the difference from the pinned runs, over the seeds that both have, with the "
        "95 % confidence interval of its mean. The intervals of this section are simultaneous, adjusted for "
        f"all its {family} effects (Bonferroni), those in the tables and the terms of the sums above them: "
        "with 95 % confidence all of them hold at once. All runs of an ablation are from one machine and "
        "have one number of threads, so a part that changes nothing has the effect 0."
        f"{seconds if timed else ''}"
    )


def _has_seconds(ablation: Ablation) -> bool:
    return any(ablation.values(*group, SECONDS) for group in ablation.groups)


def _table(ablation: Ablation, family: int, spec: ModelSpec | None = None) -> str:
    """A row for each framework and variant that has runs in the ablation's place; negative controls are
    marked where the `spec` is known."""
    head = ["FRAMEWORK", "NATIVE", "SEEDS", "ACCURACY", "EFFECT", "TRAIN S", "EFFECT S"]
    rows = []
    for framework in FRAMEWORKS:
        for variant in ablation.variants:
            seeds = ablation.shown_seeds(framework, variant)
            if not seeds:
                continue
            pair = []
            for column, digits in (("accuracy", 2), (SECONDS, 1)):
                values = ablation.values(framework, variant, column)
                shown = [value for seed, value in values.items() if seed in seeds]
                effect = ablation.effect(framework, variant, column)
                mean = f"{significance.summary(shown).mean:.{digits}f}" if shown else ""
                pair += [mean, format_effect(effect, digits, family=family)]
            name = "none (pinned)" if variant == NONE else f"`{variant}`"
            if spec is not None and is_negative_control(spec, framework, variant):
                name += " (negative control)"
            rows.append([display_name(framework), name, str(len(seeds)), *pair])
    columns = len(head) if _has_seconds(ablation) else len(head) - 2
    return markdown(head[:columns], [row[:columns] for row in rows], right=range(2, columns))


def _attribution(ablation: Ablation, family: int) -> list[str]:
    """One sentence that splits the gap with all parts native; none without that gap."""
    attribution = ablation.attribution
    if attribution is None:
        return []
    first, second = map(display_name, PAIR)

    def points(effect: Comparison) -> str:
        return format_effect(effect, family=family)

    terms = [
        *(f"{points(added)} from {PART_NAMES[part]}" for part, added in attribution.parts.items()),
        f"{points(attribution.pinned)} with everything pinned",
    ]
    return [
        f"With all parts native {first} minus {second} is {points(attribution.gap)} points over "
        f"{attribution.gap.n} seeds, the sum of {', '.join(terms)} and {points(attribution.interaction)} "
        "from the parts' interaction, all of the same seeds."
    ]


def told_effects(runs: pd.DataFrame, part: str) -> str:
    """The effects of leaving a part to each framework, by network and framework, with the intervals that hold
    at once with those of all others; without the negative controls. Empty without runs."""
    measured = ablations(runs)
    family = family_size(measured)
    effects, without = [], []
    for ablation, framework in product(measured, PAIR):
        effect = ablation.effect(framework, part, "accuracy")
        if effect is None or is_negative_control(ZOO[ablation.model].spec, framework, part):
            continue
        named = f"`{ablation.model}` in {display_name(framework)}"
        if effect.sd == 0 and effect.mean == 0:
            without.append(named)
        else:
            effects.append(f"{format_effect(effect, family=family)} ({named})")
    parts = [f"{', '.join(effects)} points"] if effects else []
    parts += [f"none for {cells.enumerated(without)}, where nothing changes by it"] if without else []
    return "; ".join(parts)


def format_effect(comparison: Comparison | None, digits: int = 2, *, family: int = 1) -> str:
    """`+0.17 (+0.05 to +0.29)`, the interval one of `family`; empty for None."""
    if comparison is None:
        return ""
    note = "" if comparison.interval else " (one pair)"
    return cells.difference(adjusted(comparison, family=family), digits) + note
