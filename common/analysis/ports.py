"""Counts of how often common.port is right about a planted mistake, and silent where there is none."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from common.tables.schema import COMMAND, NONE

UNKNOWN = "unknown"
KEY = ["model", "mutant", "framework", "seed", "precision"]


@dataclass(frozen=True)
class Comparison:
    """A row of ports.csv, and what it says of the check."""

    row: dict[Hashable, Any]

    @property
    def cause(self) -> str:
        """The right cause; empty where no mistake is planted."""
        return str(self.row["cause"])

    @property
    def findings(self) -> list[tuple[str, str]]:
        """Stage and cause of what is found: an inherent difference only where that is the mistake."""
        inherent = [pair for pair in _pairs(self.row["inherent"]) if pair[1] == self.cause]
        return [*inherent, *_pairs(self.row["found"])]

    @property
    def is_stage_right(self) -> bool:
        """Whether the first finding is in a right stage."""
        return self.findings != [] and self.findings[0][0] in str(self.row["stages"]).split()

    @property
    def is_cause_right(self) -> bool:
        """Whether the right cause is found, and no other."""
        return {cause for _, cause in self.findings} == {self.cause}

    @property
    def is_cause_wrong(self) -> bool:
        """Whether a cause is named that is none: `unknown` is not."""
        return not {cause for _, cause in self.findings} <= {self.cause, UNKNOWN}

    @property
    def is_false_alarm(self) -> bool:
        """Whether something is found, or nothing could be compared, where no mistake is planted."""
        return self.findings != [] or self.row["reason"] != ""


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = [word.partition("/") for word in text.split()]
    return [(stage, cause) for stage, _, cause in pairs]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The comparisons of the newest revision: those with a mistake that has a name and with one that has
    none, of networks with themselves, and of whole commands."""

    named: Sequence[Comparison]
    unnamed: Sequence[Comparison]
    alone: Sequence[Comparison]
    commands: Sequence[Comparison]

    @property
    def causes(self) -> dict[str, list[Comparison]]:
        """Comparisons with a mistake that has a name, by its cause."""
        return {
            cause: [comparison for comparison in self.named if comparison.cause == cause]
            for cause in sorted({comparison.cause for comparison in self.named})
        }


def proof(rows: pd.DataFrame) -> Proof:
    """The last row of each comparison of the newest revision, by what is compared."""
    newest = rows[rows["revision"] == rows["revision"].max()].drop_duplicates(KEY, keep="last")
    found = [Comparison(row) for row in newest.to_dict("records")]
    return Proof(
        named=[c for c in found if c.cause not in ("", UNKNOWN)],
        unnamed=[c for c in found if c.cause == UNKNOWN],
        alone=[c for c in found if c.row["mutant"] == NONE],
        commands=[c for c in found if c.row["mutant"] == COMMAND],
    )
