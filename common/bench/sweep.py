"""Which change of a recipe is better? The means of its cells, from the rows that fill them."""

from __future__ import annotations

from collections.abc import Sequence

from common.analysis import significance
from common.bench import tasks
from common.bench.tasks import Task
from common.frameworks import display_name
from common.report.markdown import markdown


def table(wanted: Sequence[Task], rows: Sequence[dict[str, str]]) -> str:
    """A line for each network, framework and change: accuracy as mean and standard deviation over seeds,
    seconds of training as their mean. A run that diverged counts as one, without an accuracy."""
    present = tasks.finished(rows)
    found: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for cell in wanted:
        changes = " ".join(cell.vary) or "none"
        found.setdefault((cell.model, cell.framework, changes), []).extend(present.get(tasks.key(cell), []))
    lines = []
    for (model, framework, changes), done in found.items():
        ended = [row for row in done if row["status"] == "ok"]
        accuracy, seconds = (
            significance.summary([float(row[column]) for row in ended]) if ended else None
            for column in ("accuracy", "train_seconds")
        )
        spread = f"{accuracy.sd:.3f}" if accuracy and accuracy.sd is not None else ""
        figures = [
            f"{accuracy.mean:.3f}" if accuracy else "",
            spread,
            f"{seconds.mean:.0f}" if seconds else "",
        ]
        lines.append([model, display_name(framework), changes, *figures, f"{len(ended)} of {len(done)}"])
    head = ["MODEL", "FRAMEWORK", "CHANGES", "ACCURACY %", "SD", "TRAINING S", "RUNS"]
    return markdown(head, lines, right=(3, 4, 5, 6))
