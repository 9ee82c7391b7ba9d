"""Tables of speed and memory in both frameworks, their ratios, and the A/A test of each."""

from __future__ import annotations

import pandas as pd

from common.analysis import aa
from common.analysis.aa import AAPair
from common.analysis.frames import Tables
from common.analysis.pooling import sort_key
from common.frameworks import PAIR, display_name
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import markdown

QUANTITY_NAMES = {
    "images_per_second": "training, images / s",
    "predict_seconds": "prediction, images / s",
    "peak_memory_mib": "memory, MiB",
}
"""How the tables name aa.QUANTITIES."""

UNSTEADY = "unsteady"
"""Stands for a ratio that the A/A test does not support."""


def table(speed: pd.DataFrame) -> str:
    """Speed and memory of both frameworks, their ratio, and each framework's A/A ratio."""
    rows = []
    for column, quantity in QUANTITY_NAMES.items():
        pairs = aa.aa_pairs(speed, column)
        for model in {model for model, _ in pairs}:
            sides = [pairs.get((model, framework)) for framework in PAIR]
            means = ["" if side is None else f"{side.mean:,.0f}" for side in sides]
            self_ratios = ["" if side is None else cells.ratio(side.self_ratio) for side in sides]
            rows.append((model, [f"`{model}`", quantity, *means, _framework_ratio(*sides), *self_ratios]))
    if not rows:
        return "Not measured yet: `python -m common.bench aa`."
    # The sort is stable, so that the quantities of a network stay in their order.
    ordered = [row for _, row in sorted(rows, key=lambda pair: sort_key(pair[0], ZOO))]
    names = [display_name(framework).upper() for framework in PAIR]
    head = ["MODEL", "QUANTITY", *names, "RATIO", *(f"{name} A/A" for name in names)]
    return markdown(head, ordered, right=range(2, 7))


def section(tables: Tables) -> str:
    """The table above, then epochs and seconds of training to a test accuracy."""
    first, second = map(display_name, PAIR)
    parts = [
        "### Speed and memory",
        "One epoch in a process of its own, the frameworks in turn, each run twice a round. RATIO is "
        f"{first} over {second}: the geometric mean over rounds with its 95 % confidence interval. A/A is a "
        "framework over itself in the same session. A ratio is reported only where the A/A interval of both "
        f"frameworks contains 1; elsewhere the clock was {UNSTEADY}.",
        table(tables.speed),
    ]
    comparisons = aa.target_comparisons(tables)
    if comparisons:
        names = [display_name(framework).upper() for framework in PAIR]
        columns = [f"{name} {unit}" for name in names for unit in ("EPOCHS", "S")]
        rows = [
            [
                *(f"`{comparison.model}`", f"{comparison.target:g} %", str(comparison.pairs)),
                *(
                    f"{value:.1f}"
                    for pair in zip(comparison.epochs, comparison.seconds, strict=True)
                    for value in pair
                ),
                UNSTEADY if comparison.ratio is None else cells.ratio(comparison.ratio),
            ]
            for comparison in comparisons
        ]
        parts += [
            "### Time to accuracy",
            "Epochs and seconds of training until the test accuracy after an epoch first reaches the target. "
            "Means over pairs of runs with one seed on one machine, for networks whose runs all reach it; "
            "RATIO is of the seconds, reported only where the ratio of training speed above is.",
            markdown(["MODEL", "TO", "PAIRS", *columns, "RATIO"], rows, right=range(1, 8)),
        ]
    return "\n\n".join(parts)


def _framework_ratio(first: AAPair | None, second: AAPair | None) -> str:
    if first is None or second is None:
        return ""
    ratio = aa.framework_ratio(first, second)
    return UNSTEADY if ratio is None else cells.ratio(ratio)
