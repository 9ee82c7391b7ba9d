"""Counts of how often common.port is right, by planted mistakes: the rendered part of docs/port.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from common.analysis.ports import Comparison, Proof, proof
from common.frameworks import display_name
from common.report.markdown import listed, markdown

NOTHING = "No comparisons have been recorded yet: `python -m common.bench ports`."


def block(rows: pd.DataFrame) -> str:
    """The findings in sentences, a table of the causes, and each comparison that is not right."""
    found = proof(rows)
    if not found.named:
        return NOTHING
    revision = (
        f"These figures are of revision {found.named[0].row['revision']:.0f} of the check; "
        "REVISION in common/port/check.py is the present one."
    )
    parts = [listed(_sentences(found)), revision, _table(found)]
    if missed := [c for c in (*found.named, *found.unnamed) if not (c.is_stage_right and c.is_cause_right)]:
        parts += ["Not right:", listed(map(_line, missed))]
    if alarms := [c for c in (*found.alone, *found.commands) if c.is_false_alarm]:
        parts += ["False alarms:", listed(map(_line, alarms))]
    return "\n\n".join(parts)


def _sentences(found: Proof) -> list[str]:
    named = found.named
    sentences = [
        f"**Planted mistakes.** In {len(named)} comparisons, of {len(found.causes)} causes in "
        f"{_networks(named)} networks, the stage is right in {_share(named, _is_stage_right)}, the cause in "
        f"{_share(named, _is_cause_right)}; another cause is named in "
        f"{_share(named, lambda c: c.is_cause_wrong)}.",
    ]
    if found.alone:
        seeds, networks = len({c.row["seed"] for c in found.alone}), _networks(found.alone)
        precisions = found.alone[0].row["precision"].replace(" ", " and ")
        alarms = sum(c.is_false_alarm for c in found.alone)
        sentences.append(
            f"**No mistake.** {networks} networks compared with themselves in {precisions} with "
            f"{seeds} seeds, {len(found.alone)} comparisons: {alarms or 'no'} false "
            f"alarm{'s' if alarms > 1 else ''}."
        )
    if unnamed := found.unnamed:
        kinds = len({c.row["mutant"] for c in unnamed})
        sentences.append(
            f"**Mistakes without a name.** In {len(unnamed)} comparisons with {kinds} differences that are "
            f"no known cause the stage is right in {_share(unnamed, _is_stage_right)}, and `unknown` is the "
            f"answer in {_share(unnamed, _is_cause_right)}."
        )
    times = [
        f"`{c.row['model']}`, {c.row['parameters']:,} parameters, {c.row['seconds']:.0f} s"
        for c in found.commands
    ]
    if times:
        first = found.commands[0].row
        sentences.append(
            f"**Time** of the whole command in both precisions: {'; '.join(times)}, on "
            f"{first['threads']} cores at a load average of {first['load']:.1f} before."
        )
    return sentences


def _table(found: Proof) -> str:
    head = ["CAUSE", "NETWORKS", "COMPARISONS", "RIGHT STAGE", "RIGHT CAUSE", "ANOTHER CAUSE"]
    rows = [
        [
            f"`{cause}`",
            str(_networks(group)),
            str(len(group)),
            *(
                str(sum(map(test, group)))
                for test in (_is_stage_right, _is_cause_right, lambda c: c.is_cause_wrong)
            ),
        ]
        for cause, group in found.causes.items()
    ]
    return markdown(head, rows, right=range(1, len(head)))


def _is_stage_right(comparison: Comparison) -> bool:
    return comparison.is_stage_right


def _is_cause_right(comparison: Comparison) -> bool:
    return comparison.is_cause_right


def _networks(comparisons: Sequence[Comparison]) -> int:
    return len({comparison.row["model"] for comparison in comparisons})


def _share(comparisons: Sequence[Comparison], test: Callable[[Comparison], bool]) -> str:
    """`98.5 % (197 of 200)`; no per cent where it is all or none."""
    number, total = sum(map(test, comparisons)), len(comparisons)
    if number in (0, total):
        return "all" if number else "none"
    return f"{100 * number / total:.1f} % ({number} of {total})"


def _line(comparison: Comparison) -> str:
    row = comparison.row
    side = f" in {display_name(row['framework'])}'s file" if row["framework"] else f" (seed {row['seed']})"
    found = ", ".join(f"{stage}: {cause}" for stage, cause in comparison.findings) or "nothing"
    return f"`{row['model']}`, `{row['mutant']}`{side}: {row['reason'] or found}"
