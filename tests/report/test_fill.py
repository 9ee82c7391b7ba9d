"""Filling the marked blocks of a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.blocks import block

from common.report import pages

words = st.text(st.characters(exclude_characters="<>\r", exclude_categories=["Cs"]), max_size=40)


@given(words, words, words, words, words)
def test_filling_changes_only_the_blocks(before: str, between: str, after: str, one: str, two: str) -> None:
    page = f"{before}<!-- a:begin -->old<!-- a:end -->{between}<!-- b:begin --><!-- b:end -->{after}"
    filled = pages.fill(page, {"a": one, "b": two})
    assert filled.startswith(f"{before}<!-- a:begin -->")
    assert filled.endswith(f"<!-- b:end -->{after}")
    assert f"<!-- a:end -->{between}<!-- b:begin -->" in filled
    assert block(filled, "a").strip() == one.strip()
    assert block(filled, "b").strip() == two.strip()
    assert pages.fill(filled, {"a": one, "b": two}) == filled


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<!-- a:begin -->",
        "<!-- a:end --><!-- a:begin -->",
        "<!-- a:begin --><!-- a:end --><!-- a:begin --><!-- a:end -->",
        "<!-- a:begin --><!-- a:end --><!-- b:begin --><!-- b:end -->",
    ],
)
def test_wrong_markers_are_an_error(page: str) -> None:
    with pytest.raises(pages.ReportError, match="markers"):
        pages.fill(page, {"a": "text"})
