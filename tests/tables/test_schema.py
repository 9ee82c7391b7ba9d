"""Each column has its meaning and unit beside it in the row class."""

from __future__ import annotations

import typing

import pytest

from common.tables.schema import TABLES, Row, columns, header


@pytest.mark.parametrize("row_class", TABLES.values(), ids=TABLES)
def test_every_column_has_a_meaning(row_class: type[Row]) -> None:
    assert list(columns(row_class)) == header(row_class)
    assert all(column.meaning for column in columns(row_class).values())


@pytest.mark.parametrize("row_class", TABLES.values(), ids=TABLES)
def test_a_unit_in_a_name_is_the_unit_of_the_column(row_class: type[Row]) -> None:
    for name, column in columns(row_class).items():
        for suffix, expected in (("seconds", "seconds"), ("_mib", "MiB"), ("accuracy", "percent")):
            assert not name.endswith(suffix) or column.unit == expected, name


@pytest.mark.parametrize("row_class", TABLES.values(), ids=TABLES)
def test_types_are_those_that_a_frame_is_made_of(row_class: type[Row]) -> None:
    hints = typing.get_type_hints(row_class)
    plain = {str, str | None, int, float, float | None}
    assert all(hint in plain or typing.get_origin(hint) is typing.Literal for hint in hints.values())
