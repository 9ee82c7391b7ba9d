"""The tables as typed pandas frames."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from common.analysis.pooling import MNIST
from common.data.datasets import TEST_IMAGES
from common.data.layouts import MAX_BYTES
from common.data.source import is_own
from common.model.zoo import ZOO
from common.tables.schema import TABLES, columns, header
from common.tables.store import ResultsError, line_of_row, rows

NOT_A_NUMBER = re.compile(r"(?!\d+([.,]\d+)?E[+-]?\d+$).*")
IDS = {"run": NOT_A_NUMBER, "commit": NOT_A_NUMBER, "recipe_hash": re.compile(r"([0-9a-f]{12})?")}
"""Patterns of hexadecimal names: a spreadsheet turns 975137194270 into 9.75E+11."""

SPREADSHEET = (
    "no such name: spreadsheets turn names made of digits into numbers. Restore the table from git or a copy"
)


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables as typed frames: text columns str, counts int64, measurements float64 (NaN: empty)."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
    errors: pd.DataFrame
    speed: pd.DataFrame
    traces: pd.DataFrame
    defaults: pd.DataFrame
    trials: pd.DataFrame
    mistakes: pd.DataFrame
    ports: pd.DataFrame


def read(folder: Path) -> Tables:
    """The tables in `folder`; a missing file is an empty table.

    Raises ResultsError for an unreadable one, with file, line and column where a cell is at fault.
    """
    tables = Tables(*(frame(folder, name) for name in TABLES))
    errors = tables.errors
    images = tables.runs.set_index("run")["dataset"].map(_test_images)
    limits = errors["run"].map(images).fillna(math.inf)  # a run that was killed has no row
    outside = (errors["index"] < 0) | (errors["index"] >= limits)
    _refuse(folder / "errors.csv", "index", errors["index"], outside, "no index of a test image")
    _refuse(folder / "errors.csv", "predicted", errors["predicted"], errors["predicted"] < 0, "no class")
    return tables


@functools.lru_cache(maxsize=4)
def apart(tables: Tables) -> tuple[Tables, Tables]:
    """The tables of the zoo's networks, and those of networks of users' own files (`model_file`). Measured
    times and traces name no file: they are the zoo's where the network is in the zoo and the data are MNIST.
    Runs on other data, which `pooling` keeps apart, stay with their network."""
    of_zoo, own = {}, {}
    runs = set(tables.runs.loc[tables.runs["model_file"] != "", "run"])
    for field in dataclasses.fields(Tables):
        rows = getattr(tables, field.name)
        if field.name == "defaults":  # of the frameworks alone
            of_zoo[field.name] = own[field.name] = rows
            continue
        if "model_file" in rows:
            selected = rows["model_file"] != ""
        elif "run" in rows:
            selected = rows["run"].isin(runs)
        else:
            selected = ~rows["model"].isin(set(ZOO))
            if "dataset" in rows:
                selected |= rows["dataset"] != MNIST
        of_zoo[field.name], own[field.name] = rows[~selected], rows[selected]
    return Tables(**of_zoo), Tables(**own)


def on_data(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The rows of speed.csv or traces.csv that were measured on a data set, as the column names it."""
    selected: pd.DataFrame = rows[rows["dataset"] == dataset]
    return selected


def _test_images(dataset: str) -> int:
    """Number of images on which a run of this data set is tested, as `validated` names it; the largest there
    can be for a user's own data, whose number the tables do not have."""
    held_out = re.search(r"-validation-(\d+)$", dataset)
    if held_out:
        return int(held_out[1])
    return MAX_BYTES if is_own(dataset) else TEST_IMAGES


def frame(folder: Path, name: str) -> pd.DataFrame:
    """The table `name` in `folder` as a frame with the types of its row class.

    Raises ResultsError as `read` does.
    """
    row_class, text = TABLES[name], rows(folder, name)
    result = pd.DataFrame(text, columns=header(row_class), dtype=object)
    described = columns(row_class)
    for column, hint in typing.get_type_hints(row_class).items():
        cells = result[column]
        if column == "dataset":
            result[column] = cells.replace("", MNIST)  # of sessions before the column
        try:
            if hint is int:
                result[column] = cells.astype("int64")
            elif hint is float or float in typing.get_args(hint):
                result[column] = cells.replace("", "nan").astype("float64")
        except (TypeError, ValueError, OverflowError):
            is_number = _is_int64 if hint is int else _is_float
            meaning = "no integer of 64 bits" if hint is int else "no number"
            _refuse(folder / name, column, cells, [not is_number(cell) for cell in cells], meaning)
        if described[column].unit == "percent":
            outside = (result[column] < 0) | (result[column] > 100)
            _refuse(folder / name, column, cells, outside, "no percentage from 0 to 100")
        if pattern := IDS.get(column):
            faulty = {cell for cell in set(cells) if not pattern.fullmatch(cell)}
            if faulty:
                _refuse(folder / name, column, cells, cells.isin(faulty), SPREADSHEET)
    return result


def _refuse(path: Path, column: str, cells: Iterable[object], faulty: Iterable[bool], meaning: str) -> None:
    """Raise ResultsError for the first of `faulty` cells, if there is one."""
    for row, (cell, fault) in enumerate(zip(cells, faulty, strict=True)):
        if fault:
            raise ResultsError(
                f"{path}, line {line_of_row(path, row)}, column {column}: {cell!r} is {meaning}."
            )


def _is_int64(cell: str) -> bool:
    try:
        return -(2**63) <= int(cell) < 2**63
    except ValueError:
        return False


def _is_float(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True
