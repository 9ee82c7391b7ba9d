"""The section on mistakes has a finding, the picture, a cost for each network, and what each mistake is."""

from __future__ import annotations

from pathlib import Path

from support.mistakes import add_mistakes
from support.tables import add_pairs

from common.analysis import frames
from common.report import benchmarks, mistake_tables, plots
from common.training.mistakes import MISTAKES


def test_nothing_recorded_is_one_sentence(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, -0.1])
    tables = frames.read(tmp_path)
    assert mistake_tables.section(tables.mistakes, "plots") == mistake_tables.NOTHING
    assert mistake_tables.NOTHING in benchmarks.page(tables)
    assert mistake_tables.PICTURE not in {picture.file for picture in plots.planned(tables)}


def test_costs_and_findings(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, -0.1])
    for seed in (1, 2, 3):
        add_mistakes(tmp_path, seed=seed, none=97.0, **{"loss-sum": 95.0, "no-shuffling": 97.0})
        add_mistakes(tmp_path, "speedrun", seed=seed, none=99.0, **{"loss-sum": 98.5})
        add_mistakes(tmp_path, "speedrun", "tensorflow", seed=seed, none=99.0)
        wrong = {"difference": 5.0, "status": "diverged", "flatten-order": 9.8}
        add_mistakes(tmp_path, "speedrun", "tensorflow", seed=seed, started="2026-01-02T03:04:05Z", **wrong)
    tables = frames.read(tmp_path)
    page = benchmarks.page(tables, "somewhere")
    assert "Of 3 classical mistakes 2 cost accuracy in some network" in page
    assert "a forward check finds 1. The costliest that it does not find is `loss-sum`, 2.00 points" in page
    assert "| `loss-sum` | PyTorch | passes | +2.00 (+2.00 to +2.00) | +0.50 (+0.50 to +0.50) |  |" in page
    cell = "+89.20 (+89.20 to +89.20); 3 of 3 diverged"
    assert f"| `flatten-order` | TensorFlow | finds it |  | {cell} |  |" in page
    assert "![Accuracy lost by each classical mistake of a port](somewhere/mistakes.png)" in page
    assert "Not in `tf-model-1`: it has no dense layer right after a Flatten of several" in page
    assert all(f"- `{mistake.name}`: {mistake.sentence}" in page for mistake in MISTAKES)
    (picture,) = (part for part in plots.planned(tables) if part.file == mistake_tables.PICTURE)
    plots.write_png(tmp_path / picture.file, lambda: picture.draw(None))
    assert 0 < (tmp_path / picture.file).stat().st_size < 150_000
