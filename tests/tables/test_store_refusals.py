"""What the tables refuse: other rows and headers, what a merge left, folders that cannot be written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.rows import COLUMNS, EPOCH, ERROR, NAMES, RUN, add, contents, runs

from common.tables.store import ResultsError, append, check_writable, rows

MERGED = (
    "<<<<<<< HEAD",
    "=======",
    ">>>>>>> other-branch",
    "||||||| base",
    "<<<<<<<\r",
    "{header}",
    "\ufeff{header}",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("line", MERGED)
@pytest.mark.parametrize("below", [0, 1, 2])
def test_what_a_merge_left_is_named_with_file_and_line(
    tmp_path: Path, name: str, line: str, below: int
) -> None:
    """Before a run starts, and when the table is read; `below` is the number of rows above the line."""
    for run in ("a", "b"):
        add(tmp_path, run, epochs=1, errors=1)
    path = tmp_path / name
    lines = path.read_text().splitlines()
    lines.insert(below + 1, line.format(header=lines[0]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = contents(tmp_path)
    for action in (lambda: rows(tmp_path, name), lambda: check_writable(tmp_path)):
        with pytest.raises(ResultsError) as refusal:
            action()
        assert f"{path}, line {below + 2}: " in str(refusal.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_row_that_is_there_twice_counts_once(tmp_path: Path, name: str) -> None:
    for run in ("a", "b"):
        add(tmp_path, run)
    path = tmp_path / name
    before = rows(tmp_path, name)
    path.write_bytes(path.read_bytes() + b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert rows(tmp_path, name) == before
    add(tmp_path, "c", epochs=1, errors=1)
    assert runs(tmp_path, name) == [*(row["run"] for row in before), "c"]


@pytest.mark.parametrize(
    ("name", "column"), [("results.csv", "accuracy"), ("epochs.csv", "loss"), ("errors.csv", "predicted")]
)
def test_a_row_that_is_there_twice_with_other_values_is_refused(
    tmp_path: Path, name: str, column: str
) -> None:
    add(tmp_path, "a", epochs=1, errors=1)
    add(tmp_path, "b", epochs=1, errors=1)
    run, epoch = dataclasses.replace(RUN, run="a"), dataclasses.replace(EPOCH, run="a", epoch=0)
    error = dataclasses.replace(ERROR, run="a", index=0)
    changed = {
        "results.csv": (dataclasses.replace(run, accuracy=8.0), [epoch], [error]),
        "epochs.csv": (run, [dataclasses.replace(epoch, loss=8.0)], [error]),
        "errors.csv": (run, [epoch], [dataclasses.replace(error, predicted=8)]),
    }
    append(tmp_path, *changed[name])
    for other in {*NAMES} - {name}:
        assert runs(tmp_path, other) == ["a", "b"]
    with pytest.raises(ResultsError) as refusal:
        rows(tmp_path, name)
    message = str(refusal.value)
    assert f"{tmp_path / name}, line 4: run a" in message
    assert "line 2" in message
    assert f"{column} " in message
    assert "'8' here" in message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row", ["a,b", "{row},extra"])
def test_a_row_with_other_cells_is_named_with_file_and_line(tmp_path: Path, name: str, row: str) -> None:
    """Empty lines are counted too."""
    add(tmp_path, "a", epochs=1, errors=1)
    path = tmp_path / name
    whole = path.read_text().splitlines()[1]
    path.write_text(f"{path.read_text()}\n{row.format(row=whole)}\n{whole}\n")
    with pytest.raises(ResultsError) as refusal:
        rows(tmp_path, name)
    assert f"{path}, line 4: " in str(refusal.value)


OTHER_HEADERS: dict[str, Callable[[list[str]], list[str]]] = {
    "shorter": lambda columns: columns[: columns.index("started") if "started" in columns else -1],
    "newer": lambda columns: [*columns, "extra"],
    "reordered": lambda columns: columns[::-1],
    "foreign": lambda columns: ["date", "price"],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", OTHER_HEADERS)
def test_another_header_is_refused_and_nothing_is_written(tmp_path: Path, name: str, other: str) -> None:
    add(tmp_path, "a")
    columns = COLUMNS[name].split(", ")
    wrong = OTHER_HEADERS[other](columns)
    (tmp_path / name).write_text(f"{','.join(wrong)}\n1,2\n")
    number = next(index for index in range(len(columns) + 1) if wrong[: index + 1] != columns[: index + 1])
    found, expected = ([*names, "missing"][number] for names in (wrong, columns))
    before = contents(tmp_path)
    for action in (
        lambda: add(tmp_path, "b"),
        lambda: check_writable(tmp_path),
        lambda: rows(tmp_path, name),
    ):
        with pytest.raises(ResultsError) as refusal:
            action()
        message = str(refusal.value)
        assert str(tmp_path / name) in message
        assert f"column {number + 1} is {found}, and {expected} is expected" in message
        assert "\n" not in message
    assert contents(tmp_path) == before


def test_no_table_is_created_beside_a_refused_one(tmp_path: Path) -> None:
    (tmp_path / "errors.csv").write_text("date,price\n")
    with pytest.raises(ResultsError):
        add(tmp_path, "a")
    assert contents(tmp_path) == {"errors.csv": b"date,price\n"}


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_beyond_64_bits_is_refused(tmp_path: Path, seed: int) -> None:
    """A reader could not read the table any more."""
    add(tmp_path, "a")
    before = contents(tmp_path)
    with pytest.raises(ResultsError, match=f"seed {seed}"):
        append(tmp_path, dataclasses.replace(RUN, seed=seed), [EPOCH], [ERROR])
    assert contents(tmp_path) == before


@pytest.mark.parametrize("text", ["two\nlines", "two\r\nlines", "\rback", "end\n"])
def test_a_cell_of_two_lines_is_refused(tmp_path: Path, text: str) -> None:
    add(tmp_path, "a")
    before = contents(tmp_path)["results.csv"]
    with pytest.raises(ResultsError, match="must be one line"):
        append(tmp_path, dataclasses.replace(RUN, machine=text))
    assert contents(tmp_path)["results.csv"] == before
    assert runs(tmp_path) == ["a"]


@pytest.mark.parametrize("action", [check_writable, lambda folder: add(folder, "a")], ids=["check", "append"])
def test_a_folder_that_cannot_be_created_is_one_sentence(tmp_path: Path, action: Any) -> None:
    """Below a regular file not even root can create one."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "results"
    with pytest.raises(ResultsError) as refusal:
        action(folder)
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert rows(folder, "results.csv") == []


@pytest.mark.parametrize("action", [check_writable, lambda folder: add(folder, "a")], ids=["check", "append"])
def test_a_read_only_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    """The refusal is simulated: permissions do not bind root, as whom tests may run."""

    def refuse(*arguments: object, **settings: object) -> None:
        raise PermissionError(13, "Permission denied")

    for method in ("touch", "open"):
        monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(ResultsError) as refusal:
        action(tmp_path)
    assert all(fact in str(refusal.value) for fact in (str(tmp_path), "Permission denied"))
