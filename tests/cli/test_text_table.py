"""Columns are as wide as their widest cell, and lines end with their last word."""

from __future__ import annotations

from common.cli.text_table import aligned


def test_columns_are_aligned() -> None:
    rows = [("NAME", "VALUE", "NOTE"), ("a", "1.5", ""), ("longer", "123456", "b")]
    assert aligned(rows, right={1}).splitlines() == [
        "NAME     VALUE  NOTE",
        "a          1.5",
        "longer  123456  b",
    ]
