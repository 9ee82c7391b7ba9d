"""Rewrites the tables of runs: rows that no longer count are removed, cells that were missing are filled."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

from common.tables import store
from common.tables.schema import TABLES, TABLES_OF_A_RUN, header

Cells = dict[str, str]


def rewrite(folder: Path, change: Callable[[Cells], Cells | None]) -> int:
    """Replace each row of results.csv by what `change` returns for it; None removes the run.

    Returns the number of runs removed. Epochs and errors of runs that results.csv lacks then are removed too.
    Each table is replaced as a whole. Raises ResultsError for a table that cannot be read, OSError for one
    that cannot be written.
    """
    present = store.rows(folder, "results.csv")
    changed = [cells for row in present if (cells := change(row)) is not None]
    kept = {cells["run"] for cells in changed}
    for name in TABLES_OF_A_RUN:
        rows = [cells for cells in store.rows(folder, name) if cells["run"] in kept]
        _replace(folder / name, changed if name == "results.csv" else rows)
    return len(present) - len(changed)


def _replace(path: Path, rows: list[Cells]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header(TABLES[path.name]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
