"""The cost of each classical mistake of a port as a table, below the finding and a picture."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from common.analysis.mistakes import FLOORS, Cost, costs
from common.frameworks import display_name
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import listed, markdown
from common.training.mistakes import MISTAKES, MODELS, NONE, REFERENCES, Mistake

PICTURE = "mistakes.png"
TITLE = "Accuracy lost by each classical mistake of a port"
NOTHING = "No runs with mistakes have been recorded yet: `python -m common.bench mistakes`."


def section(rows: pd.DataFrame, link: str) -> str:
    """The finding, the picture in the folder at the address `link`, the table, and what each mistake is."""
    found = costs(rows)
    if not found:
        return NOTHING
    seeds = max(cost.points.n for cost in found)
    note = (
        "Each mistake is planted in the program of the framework whose interface leads to it. COST is the "
        f"accuracy of the right run minus that of the run with the mistake, in points, of {seeds} seeds, "
        "paired by seed; the intervals are simultaneous 95 % confidence intervals, adjusted for all "
        f"{sum(cost.points.interval is not None for cost in found)} of them (Bonferroni). An empty cell: the "
        "mistake does not apply to that network. A *forward check* lets both programs predict one batch as "
        "they do in their tests, with the same trained weights, and prepared by the right one, so that a "
        "mistake in the images is not in it: it finds a mistake where a logit "
        f"differs by more than {FLOORS:g} times what rounding does to the right program."
    )
    models = list(dict.fromkeys([*MODELS, *(cost.model for cost in found)]))
    return "\n\n".join(
        [finding(found), f"![{TITLE}]({link}/{PICTURE})", note, _table(found, models), _list(models)]
    )


def finding(found: Sequence[Cost]) -> str:
    """Number of mistakes that cost accuracy, number that a forward check finds, and the costliest of the
    others."""
    mistakes = list(dict.fromkeys(cost.mistake.name for cost in found))
    certain = {cost.mistake.name for cost in found if cost.is_certain}
    seen = {cost.mistake.name for cost in found if cost.found}
    parts = [
        f"Of {len(mistakes)} classical mistakes {len(certain)} cost accuracy in some network (95 % interval "
        f"above 0), and a forward check finds {len(seen)}."
    ]
    unseen = [cost for cost in found if cost.is_certain and cost.mistake.name not in seen]
    if unseen:
        costliest = max(unseen, key=lambda cost: cost.points.mean)
        parts.append(
            f"The costliest that it does not find is `{costliest.mistake.name}`, "
            f"{costliest.points.mean:.2f} points of `{costliest.model}`."
        )
    return " ".join(parts)


def _table(found: Sequence[Cost], models: Sequence[str]) -> str:
    head = ["MISTAKE", "FRAMEWORK", "FORWARD CHECK", *(f"COST: `{model}`" for model in models)]
    rows = []
    for mistake in MISTAKES:
        by_model = {cost.model: cost for cost in found if cost.mistake is mistake}
        if by_model:
            check = "finds it" if any(cost.found for cost in by_model.values()) else "passes"
            about = [f"`{mistake.name}`", display_name(mistake.framework), check]
            rows.append([*about, *(_cell(by_model.get(model)) for model in models)])
    return markdown(head, rows, right=range(3, len(head)))


def _cell(cost: Cost | None) -> str:
    if cost is None:
        return ""
    note = f"; {cost.diverged} of {cost.points.n} diverged" if cost.diverged else ""
    return cells.difference(cost.points, 2) + note


def _list(models: Sequence[str]) -> str:
    """Definition of each mistake, what it is compared with, and the networks that it does not apply to."""
    return listed(
        " ".join(
            [f"`{mistake.name}`:", mistake.sentence, *_reference(mistake), *_exceptions(mistake, models)]
        )
        for mistake in MISTAKES
    )


def _reference(mistake: Mistake) -> list[str]:
    return [f"The right run has {REFERENCES[mistake.reference]}."] if mistake.reference != NONE else []


def _exceptions(mistake: Mistake, models: Sequence[str]) -> list[str]:
    without = [f"`{m}`" for m in models if not mistake.need.met(ZOO[m].spec, ZOO[m].recipe)]
    if not without:
        return []
    return [
        f"Not in {' and '.join(without)}: {'each' if len(without) > 1 else 'it'} {mistake.need.otherwise}."
    ]
