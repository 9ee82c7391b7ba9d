"""The report of common.port as text: a table of the stages, then the causes in sentences; and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.cli.text_table import aligned
from common.frameworks import PAIR, display_name
from common.port import causes
from common.port.check import Finding, Report, Row
from common.printable import printable

HEAD = ("STAGE", "PRECISION", "WHERE", "DIFFERENCE", "FLOOR", "VERDICT")


def text(report: Report) -> str:
    """Everything, for the terminal."""
    parts = [aligned([HEAD, *map(_cells, report.rows)], right=(3, 4))]
    if report.skipped:
        reasons = dict.fromkeys(report.skipped.values())
        parts += [
            f"Not compared, as {reason}: "
            f"{', '.join(stage for stage, other in report.skipped.items() if other == reason)}."
            for reason in reasons
        ]
    parts += [_sentences(number, group) for number, group in enumerate(_grouped(report.findings), 1)]
    parts.append(_conclusion(report))
    return "\n\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    numbers = f"{row.difference:.1e}", f"{row.floor:.1e}" if row.floor else "0"
    return row.stage, row.precision, printable(row.where), *numbers, row.verdict


def _grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings with one cause and one fix together, in order."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        key = finding.stage, finding.cause, str(finding.fix)
        groups.setdefault(key if finding.cause != "unknown" else (*key[:2], finding.where), []).append(
            finding
        )
    return list(groups.values())


def _sentences(number: int, group: Sequence[Finding]) -> str:
    first = group[0]
    places = ", ".join(dict.fromkeys(printable(finding.where) for finding in group))
    inherent = " Inherent: no setting of either side makes them equal." if first.inherent else ""
    lines = [
        f"{number}. {first.cause} ({first.stage}, {first.precision}): {places} "
        f"{causes.SENTENCES[first.cause]}{inherent}"
    ]
    for side, line in first.fix.items():
        if line:
            name = display_name(side) if side in PAIR else side.title()
            lines.append(f"   {name + ':':9}{line}")
    return "\n".join(lines)


def _conclusion(report: Report) -> str:
    if not report.findings:
        return "The two models agree to rounding."
    real = [finding for finding in report.findings if not finding.inherent]
    if not real:
        return "The two models agree but for what is inherent."
    return f"The two models differ: {', '.join(dict.fromkeys(finding.cause for finding in real))}."


def as_json(report: Report) -> dict[str, Any]:
    """The report as --json writes it; a difference that is not finite is null."""
    return {
        "agree": report.agree,
        "findings": [
            {
                "stage": finding.stage,
                "where": finding.where,
                "cause": finding.cause,
                "difference": _finite(finding.difference),
                "floor": finding.floor,
                "inherent": finding.inherent,
                "fix": dict(finding.fix),
                "precision": finding.precision,
            }
            for finding in report.findings
        ],
        "stages": [{**vars(row), "difference": _finite(row.difference)} for row in report.rows],
        "skipped": report.skipped,
        "versions": report.versions,
    }


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None
