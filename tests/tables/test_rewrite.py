"""Rows leave the tables while no run can append to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from support.tables import add_run

from common.tables import store
from common.tables.rewrite import Cells, rewrite


def test_tables_are_rewritten_under_the_lock_of_their_folder(tmp_path: Path) -> None:
    add_run(tmp_path, seed=1)
    add_run(tmp_path, seed=2)

    def second(row: Cells) -> Cells | None:
        with pytest.raises(Timeout):
            FileLock(tmp_path / ".lock").acquire(blocking=False)
        return row if row["seed"] == "2" else None

    assert rewrite(tmp_path, second) == 1
    (row,) = store.rows(tmp_path, "results.csv")
    assert row["seed"] == "2"
    assert {epoch["run"] for epoch in store.rows(tmp_path, "epochs.csv")} == {row["run"]}
