"""The tables as typed pandas frames."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from common.tables.schema import TABLES, header
from common.tables.store import ResultsError, rows


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables as typed frames: text columns str, counts int64, measurements float64 (NaN: empty)."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
    errors: pd.DataFrame
    speed: pd.DataFrame
    traces: pd.DataFrame
    defaults: pd.DataFrame


def read(folder: Path) -> Tables:
    """The tables in `folder`; a missing file is an empty table. Raises ResultsError for an unreadable one."""
    return Tables(*(frame(name, rows(folder, name)) for name in TABLES))


def frame(name: str, text: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """The rows `text` of table `name` as a frame with the types of its row class.

    Raises ResultsError for a cell that should be a number and is not.
    """
    row_class = TABLES[name]
    result = pd.DataFrame(list(text), columns=header(row_class), dtype=object)
    for column, hint in typing.get_type_hints(row_class).items():
        try:
            if hint is int:
                result[column] = result[column].astype("int64")
            elif hint is float or float in typing.get_args(hint):
                result[column] = result[column].replace("", "nan").astype("float64")
        except (TypeError, ValueError, OverflowError) as error:
            raise ResultsError(f"{name}, column {column}, has a cell that is no number: {error}.") from None
    return result
