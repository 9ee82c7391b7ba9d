"""A sweep's table is of seeds."""

from __future__ import annotations

from pathlib import Path

from support.tables import add_run

from common.bench import sweep
from common.bench.tasks import tasks_of
from common.tables import store


def test_a_repeated_seed_counts_once_and_a_diverged_run_has_no_accuracy(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 98.0), (2, 98.9), (2, 99.1), (3, None)):
        add_run(tmp_path, seed=seed, accuracy=accuracy, status="ok" if accuracy else "diverged")
    wanted = tasks_of(["tf-model-1"], ["pytorch"], [1, 2, 3, 4])
    table = sweep.table(wanted, store.rows(tmp_path, "results.csv"))
    assert table.splitlines()[-1] == "| tf-model-1 | PyTorch | none | 98.500 | 0.707 | 10 | 3 of 4 |"


def test_seconds_of_runs_that_were_not_alone_are_left_out(tmp_path: Path) -> None:
    add_run(tmp_path, seed=1, accuracy=98.0, at_once=1)
    add_run(tmp_path, seed=2, accuracy=98.0, at_once=2)
    rows = store.rows(tmp_path, "results.csv")
    tables = [sweep.table(tasks_of(["tf-model-1"], ["pytorch"], seeds), rows) for seeds in ([1], [1, 2])]
    assert [table.splitlines()[-1].split(" | ")[5] for table in tables] == ["10", ""]
