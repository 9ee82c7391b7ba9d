"""Text of other programs in a table of a page is text."""

from __future__ import annotations

import pytest

from common.report.markdown import markdown


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("<img src=x>", "&lt;img src=x>"),
        ("</td><!-- -->", "&lt;/td>&lt;!-- -->"),
        ("&lt; &#60; R&D", "&amp;lt; &amp;#60; R&D"),
        ("a|b", r"a\|b"),
        ("a\nb\r\nc", "a b c"),
        ("< 0.001 and `x`", "< 0.001 and `x`"),
    ],
)
def test_a_cell_is_text(cell: str, written: str) -> None:
    assert markdown(["A"], [[cell]]).splitlines() == ["| A |", "| --- |", f"| {written} |"]
