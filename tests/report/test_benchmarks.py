"""benchmarks.md: a contents list, findings before tables, and no table that a page clips."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.tables import add_pairs

from common.analysis import frames
from common.frameworks import ROOT
from common.report import benchmarks, pages

WIDEST = 9


def sections(page: str) -> dict[str, str]:
    """The text below each heading, up to the next heading of any level."""
    parts = re.split(r"^##+ (.*)\n", page, flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_the_contents_lead_to_every_section(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, -0.1])
    page = benchmarks.page(frames.read(tmp_path))
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    contents = re.findall(r"^- \[(.*)\]\(#(.*)\)$", page, re.MULTILINE)
    assert [title for title, _ in contents] == titles
    assert ("Accuracy of the zoo's recipes", "accuracy-of-the-zoos-recipes") in contents


@pytest.mark.slow
def test_the_recorded_tables_fit_a_page_and_follow_a_sentence() -> None:
    texts = pages.pages(frames.read(ROOT / "results"), root=ROOT)
    for path, text in texts.items():
        for line in text.splitlines():
            if line.startswith("| "):
                assert len(re.split(r"(?<!\\) \| ", line)) <= WIDEST, (path.name, line[:80])
    assert len(texts[ROOT / "README.md"].splitlines()) <= 150
    for title, text in sections(texts[ROOT / "benchmarks.md"]).items():
        assert not text.startswith("|") or title.startswith("`"), title
