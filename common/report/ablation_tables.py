"""The ablation of each network as a table, and the gap between the frameworks by part."""

from __future__ import annotations

import pandas as pd

from common.analysis import significance
from common.analysis.ablation import NONE, Ablation, ablations, inapplicable_parts, variants
from common.analysis.significance import Comparison
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import markdown

PART_NAMES = {"init": "initialisation", "norm": "batch normalisation", "optimizer": "the optimizer"}


def section(runs: pd.DataFrame) -> str:
    """A table for each network, with a sentence on where the gap between the frameworks comes from."""
    measured = ablations(runs)
    if not measured:
        return "No ablation has been run yet: `python -m common.bench ablation MODEL`."
    note = (
        "With `--native PART` that part is left to each framework's own defaults, with `all` every part. "
        "Accuracies in percent, and seconds of training, are means over seeds. EFFECT is the difference from "
        "the pinned runs, paired by seed, with the 95 % confidence interval of its mean. All runs of an "
        "ablation are from one machine, so a part that changes nothing has the effect 0."
    )
    return "\n\n".join([note, *map(_table, measured)])


def _table(ablation: Ablation) -> str:
    spec = ZOO[ablation.model].spec
    head = "FRAMEWORK | NATIVE | SEEDS | ACCURACY | EFFECT | TRAIN S | EFFECT S"
    rows = []
    for framework in FRAMEWORKS:
        for variant in variants(spec):
            if (framework, variant) not in ablation.groups:
                continue
            pair = []
            for column, digits in (("accuracy", 2), ("train_seconds", 1)):
                values = ablation.values(framework, variant, column)
                effect = None if variant == NONE else ablation.effect(framework, variant, column)
                mean = f"{significance.summary(values.values()).mean:.{digits}f}" if values else ""
                pair += [mean, format_effect(effect, digits)]
            seeds = len(ablation.values(framework, variant, "accuracy"))
            name = "none (pinned)" if variant == NONE else f"`{variant}`"
            rows.append([display_name(framework), name, str(seeds), *pair])
    notes = inapplicable_parts(spec).values()
    table = markdown(head.split(" | "), rows, right=range(2, 7))
    return "\n\n".join([f"### `{ablation.model}`", table, *_attribution(ablation), *notes])


def _attribution(ablation: Ablation) -> list[str]:
    """One sentence that splits the gap with all parts native; none without that gap."""
    attribution = ablation.attribution
    if attribution is None:
        return []
    first, second = map(display_name, PAIR)
    terms = [
        *(f"{format_effect(added)} from {PART_NAMES[part]}" for part, added in attribution.parts.items()),
        f"{format_effect(attribution.pinned)} with everything pinned",
    ]
    return [
        f"With all parts native {first} less {second} is {format_effect(attribution.gap)} points, the "
        f"sum of {', '.join(terms)} and {attribution.interaction:+.2f} from the parts' interaction."
    ]


def format_effect(comparison: Comparison | None, digits: int = 2) -> str:
    """`+0.17 (+0.05 to +0.29)`; empty for None."""
    if comparison is None:
        return ""
    note = "" if comparison.interval else " (one pair)"
    return cells.difference(comparison, digits) + note
