"""Tables are read with their types, and a cell that is no number is named."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from support.tables import add_run

from common.analysis import frames
from common.tables import store
from common.tables.schema import ErrorRow
from common.tables.store import ResultsError


@pytest.mark.parametrize(
    ("table", "column", "cell"),
    [
        ("results.csv", "accuracy", "many"),
        ("results.csv", "accuracy", "1e308"),
        ("results.csv", "shifted_accuracy", "-0.5"),
        ("results.csv", "seed", "9223372036854775808"),
        ("results.csv", "seed", ""),
        ("results.csv", "batch_size", "32.0"),
        ("results.csv", "lr", "0,001"),
        ("results.csv", "recipe_hash", "9.75137E+11"),
        ("results.csv", "recipe_hash", "12345678901"),
        ("results.csv", "run", "1E+20"),
        ("results.csv", "commit", "4,6E+14"),
        ("epochs.csv", "accuracy", "100.5"),
        ("epochs.csv", "run", "9.75E+11"),
        ("epochs.csv", "epoch", "one"),
        ("errors.csv", "run", "9.75E+11"),
        ("errors.csv", "predicted", ""),
        ("errors.csv", "predicted", "-3"),
        ("errors.csv", "index", "-7"),
        ("errors.csv", "index", "10000"),
    ],
)
def test_a_cell_that_cannot_be_is_named_with_file_line_and_column(
    tmp_path: Path, table: str, column: str, cell: str
) -> None:
    for seed in (1, 2, 3):
        add_run(tmp_path, seed=seed)
    path = tmp_path / table
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    lines[3][lines[0].index(column)] = cell
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([lines[0], [], *lines[1:]])
    with pytest.raises(ResultsError) as refusal:
        frames.read(tmp_path)
    assert str(refusal.value).startswith(f"{path}, line 5, column {column}: ")
    assert cell in str(refusal.value)


def test_the_index_of_a_held_out_image_may_be_larger(tmp_path: Path) -> None:
    add_run(tmp_path, dataset="mnist-validation-40000", errors={39_999: 1})
    assert list(frames.read(tmp_path).errors["index"]) == [39_999]
    add_run(tmp_path, dataset="mnist-validation-500", errors={500: 1})
    with pytest.raises(ResultsError, match=r"errors\.csv, line 3, column index: 500 "):
        frames.read(tmp_path)


def test_errors_of_a_killed_run_without_a_row_do_not_stop_a_report(tmp_path: Path) -> None:
    add_run(tmp_path, errors={1: 9})
    store.append_rows(tmp_path, "errors.csv", [ErrorRow(run="abcdefabcdef", index=100_000, predicted=3)])
    assert list(frames.read(tmp_path).errors["index"]) == [1, 100_000]


def test_the_names_of_new_runs_are_no_numbers_to_a_spreadsheet() -> None:
    names = {store.new_run() for _ in range(200)}
    assert len(names) == 200
    assert all(re.fullmatch("[a-f][0-9a-f]{11}", name) for name in names)
