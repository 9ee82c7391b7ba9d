"""docs/sources.md has every published network, its claim and address, and the figures of the tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import add_run

from common.analysis import frames
from common.frameworks import PAIR
from common.model.entry import Entry
from common.model.zoo import ZOO
from common.report import sources

PUBLISHED = [entry for entry in ZOO.values() if entry.published]


def test_the_measurements_are_beside_the_claim(tmp_path: Path) -> None:
    for framework, accuracy in zip(PAIR, (36.12, 35.98), strict=True):
        add_run(tmp_path, "pytorch-model-1-printed", framework, accuracy=accuracy)
        add_run(tmp_path, framework=framework, accuracy=97.8, train_accuracy=98.77)
    page = sources.page(frames.read(tmp_path))
    printed = next(line for line in page.splitlines() if line.startswith("| `pytorch-model-1-printed`"))
    assert printed.endswith("| 98.98 % | 36.12 % (n=1) | 35.98 % (n=1) |")
    assert "1,568 logits" in page
    assert "36.12 % in PyTorch and 35.98 % in TensorFlow" in page
    assert "98.77 % in PyTorch" in page
    assert "- `under-8k`: not run yet." in page


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry.name)
def test_every_published_network_has_a_reason_and_its_address(entry: Entry, tmp_path: Path) -> None:
    add_run(tmp_path, entry.name)
    page = sources.page(frames.read(tmp_path))
    assert f"- `{entry.name}`: not run yet" not in page
    assert f"({entry.address})" in page or not entry.address
    assert set(sources.REASONS) == {published.name for published in PUBLISHED}


def test_the_records_have_names_and_addresses(tmp_path: Path) -> None:
    page = sources.page(frames.read(tmp_path))
    for record in sources.RECORDS:
        assert record.address.startswith("https://")
        assert (
            f"| {record.parameters:,} | {record.accuracy:g} % | {sources.link(record.name, record.address)} |"
            in page
        )
    assert [record.parameters for record in sources.RECORDS] == sorted(
        record.parameters for record in sources.RECORDS
    )
