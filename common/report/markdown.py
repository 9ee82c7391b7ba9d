"""Markdown of tables and lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A Markdown table; columns numbered in `right` are aligned to the right. Cells have no HTML and no line
    ends: some are text of other programs, such as the reason of a failed run."""
    rule = ["--:" if place in right else "---" for place in range(len(head))]
    lines = [head, rule, *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    text = re.sub(r"&(?=#?\w+;)", "&amp;", " ".join(text.splitlines()))
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text).replace("|", "\\|")


def listed(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def slug(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
