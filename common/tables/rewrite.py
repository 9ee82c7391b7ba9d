"""Rewrites tables: rows that no longer count are removed, cells of runs that were missing are filled."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from common import files
from common.tables import store
from common.tables.schema import TABLES, TABLES_OF_A_RUN, header

Cells = dict[str, str]


def rewrite(folder: Path, change: Callable[[Cells], Cells | None]) -> int:
    """Replace each row of results.csv by what `change` returns for it; None removes the run.

    Returns the number of runs removed. Epochs and errors of runs that results.csv lacks then are removed too.
    Each table is replaced as a whole, under the lock of the folder, so that no row is lost which a run
    appends meanwhile. Raises ResultsError for a table that cannot be read, OSError for one that cannot be
    written.
    """
    with files.locked(folder):
        present = store.rows(folder, "results.csv")
        changed = [cells for row in present if (cells := change(row)) is not None]
        kept = {cells["run"] for cells in changed}
        others = [name for name in TABLES_OF_A_RUN if name != "results.csv"]
        tables = {name: [row for row in store.rows(folder, name) if row["run"] in kept] for name in others}
        # The runs first: one that is killed leaves epochs without a run, which count for nothing.
        for name, rows in {"results.csv": changed, **tables}.items():
            _replace(folder, name, rows)
        return len(present) - len(changed)


def keep(folder: Path, name: str, wanted: Callable[[Cells], bool]) -> None:
    """Keep only the wanted rows of a table whose rows belong to no run. Raises as `rewrite` does."""
    with files.locked(folder):
        rows = [row for row in store.rows(folder, name) if wanted(row)]
        _replace(folder, name, rows)


def _replace(folder: Path, name: str, rows: list[Cells]) -> None:
    """Replace a table, or the file that it links to, by one with these rows."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, header(TABLES[name]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write((folder / name).resolve(), buffer.getvalue().encode())
