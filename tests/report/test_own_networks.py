"""Networks of users' own files have a section of their own and change nothing else in the pages."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.tables import OWN, aa_rows, add_pairs, add_run, add_traces, timing_row

from common.analysis import frames
from common.analysis.answer import answer_of
from common.frameworks import PAIR
from common.report import __main__ as command
from common.report import answer, benchmarks, gallery, output, own_networks, pages, readme
from common.report.explorer import page as explorer
from common.tables import store

OTHER_RECIPE = dataclasses.replace(OWN, recipe=dataclasses.replace(OWN.recipe, lr=0.5))


def add_own(folder: Path, accuracies: tuple[float, ...] = (98.0, 98.1, 98.2), **fields: Any) -> None:
    """Append a pair of runs of a user's network for each accuracy of the first framework."""
    for seed, accuracy in enumerate(accuracies, start=1):
        for framework, lead in zip(PAIR, (0.0, 0.01), strict=True):
            add_run(
                folder,
                **{"entry": OWN, "seed": seed, **fields},
                framework=framework,
                accuracy=accuracy + lead,
            )


def test_own_networks_change_nothing_but_their_section(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, -0.1, 0.02])
    store.append_rows(tmp_path, "speed.csv", aa_rows([1.0, 2.0], [1.0, 2.0]))
    before = frames.read(tmp_path)
    add_own(tmp_path)
    add_own(tmp_path, native="init")
    add_run(tmp_path, entry=OWN, status="failed", accuracy=None, reason="no memory")
    store.append_rows(tmp_path, "speed.csv", [timing_row("step", "whole", 1.0, model="mine")])
    after = frames.read(tmp_path)
    zoo = frames.apart(after)[0]
    assert len(after.runs) > len(zoo.runs) == len(before.runs)
    assert readme.results_block(zoo, "plots") == readme.results_block(before, "plots")
    assert gallery.block(zoo, "plots") == gallery.block(before, "plots")
    assert answer.sentences(answer_of(zoo)) == answer.sentences(answer_of(before))
    page = benchmarks.page(after)
    rest, _, section = page.partition(f"\n## {own_networks.TITLE}\n")
    contents = f"- [{own_networks.TITLE}](#your-networks)\n"
    assert contents in rest
    assert rest.replace(contents, "").strip() == benchmarks.page(zoo).strip()
    assert "`mine`" in section
    assert "mine" not in rest


def test_the_section_has_verdict_settings_and_failures(tmp_path: Path) -> None:
    add_own(tmp_path)
    add_own(tmp_path, precision="float64")
    add_run(tmp_path, entry=OWN, status="failed", accuracy=None, reason="no memory")
    section = own_networks.section(frames.read(tmp_path))
    (line,) = [line for line in section.splitlines() if line.startswith("| `mine` | mnist | 101,770 |")]
    assert line.split(" | ")[3:] == [
        "98.10",
        "98.11",
        "-0.010 (-0.010 to -0.010)",
        "different but negligible |",
    ]
    assert "`net.py@0123456789ab`" in section
    assert "precision float64 instead of float32" in section
    assert "no memory" in section


def test_frameworks_defaults_are_effects_where_pinned_runs_are_there(tmp_path: Path) -> None:
    """Paired by seed with the pinned runs of the same recipe and data; without these, another setting."""
    add_own(tmp_path)
    add_own(tmp_path, (98.5, 98.5, 98.8), native="init")
    section = own_networks.section(frames.read(tmp_path))
    lines = section.partition("### Ablation of the defaults: `mine`\n")[2].splitlines()
    (line,) = [line for line in lines if line.startswith("| PyTorch | `init` |")]
    assert line.startswith("| PyTorch | `init` | 3 | 98.60 | +0.50 (")
    assert "adjusted for all its 2 effects" in section
    assert "Other settings" not in section
    add_own(tmp_path, (97.0,), entry=OTHER_RECIPE, native="init")
    section = own_networks.section(frames.read(tmp_path))
    assert "98.60 | +0.50" in section
    assert section.partition("Other settings")[2].count("native init instead of none") == 2


def test_two_recipes_of_one_name_are_told_apart_and_never_pooled(tmp_path: Path) -> None:
    add_own(tmp_path)
    add_own(tmp_path, (90.0,), entry=OTHER_RECIPE)
    add_own(tmp_path, (80.0,), dataset="fashion-mnist")
    section = own_networks.section(frames.read(tmp_path))
    headings = [line for line in section.splitlines() if line.startswith("### ")]
    assert len(set(headings)) == 3
    assert sum("recipe" in heading for heading in headings) == 2
    assert "90.00" in section
    assert "98.10" in section


def test_a_folder_with_own_networks_alone_has_only_their_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, folder = tmp_path / "root", tmp_path / "runs"
    add_own(folder)
    add_pairs(root / "results", [0.1, -0.1, 0.02])

    def no_data(*_: object, **__: object) -> None:
        raise AssertionError("no picture is drawn, so no data set is read")

    monkeypatch.setattr(output, "load", no_data)
    assert command.main(["--results", str(folder)], root=root) == 0
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {own_networks.TITLE}\n")
    assert text == pages.report(frames.read(folder), recorded=frames.read(root / "results"))
    assert "# Benchmarks" not in text
    printed = capsys.readouterr().out
    assert "mine: 101,770 parameters" in printed
    assert "recorded runs of the zoo" in printed
    assert not (folder / "plots").exists()


def test_sessions_with_an_own_network_are_in_its_section(tmp_path: Path) -> None:
    """The recipe of its runs says how many images the whole run has; with two recipes that is unknown."""
    add_own(tmp_path)
    for framework, value in zip(PAIR, (50.0, 100.0), strict=True):
        rows = aa_rows([value] * 3, [value] * 3, model="tf-model-1", framework=framework)
        rows = [dataclasses.replace(row, model="mine") for row in rows]
        store.append_rows(tmp_path, "speed.csv", rows)
        step = timing_row("step", "epoch", 1.5, model="mine", framework=framework)
        store.append_rows(tmp_path, "speed.csv", [step])
    section = own_networks.section(frames.read(tmp_path))
    assert "| `mine` | 0.500 (0.500 to 0.500) |" in section
    assert "| `mine` | PyTorch | 1.500 |" in section
    add_own(tmp_path, (90.0,), entry=OTHER_RECIPE)
    section = own_networks.section(frames.read(tmp_path))
    assert "0.500 (0.500 to 0.500)" not in section
    assert "Not listed are sessions of `bench aa` with `mine`" in section


def test_sessions_of_a_zoo_network_on_other_data_are_with_the_other_data(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.1, -0.1, 0.02])
    for framework, value in zip(PAIR, (50.0, 100.0), strict=True):
        again = aa_rows([value] * 3, [value] * 3, model="tf-model-1", framework=framework)
        step = timing_row("step", "epoch", 1.5, model="tf-model-1", framework=framework)
        rows = [dataclasses.replace(row, dataset="fashion-mnist") for row in (*again, step)]
        store.append_rows(tmp_path, "speed.csv", rows)
    tables = frames.read(tmp_path)
    assert own_networks.section(tables) == ""
    for page in (benchmarks.page(tables), pages.report(tables, recorded=tables)):
        section = page.partition("\n## Other data\n")[2].partition("\n## ")[0]
        assert "### Speed and memory of the zoo's networks on fashion-mnist" in section
        assert "| `tf-model-1` | 0.500 (0.500 to 0.500) |" in section
        assert "| `tf-model-1` | PyTorch | 1.500 |" in section
        assert "0.500 (0.500" not in page.partition("\n## Speed\n")[2]


def test_traces_of_an_own_network_are_in_its_section(tmp_path: Path) -> None:
    def losses(*_: str) -> list[float]:
        return [2.0, 1.5]

    add_traces(tmp_path, losses, model="mine")
    section = own_networks.section(frames.read(tmp_path))
    assert "### First steps of your networks on mnist" in section
    assert "| `mine` | 1 |" in section
    assert "project's own recipes" not in section


def test_the_explorer_has_own_networks_in_a_table_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer, "_library", lambda: "")  # the charts', which takes seconds
    add_pairs(tmp_path, [0.1, -0.1, 0.02])
    assert "Your networks" not in explorer.page(frames.read(tmp_path))
    add_own(tmp_path)
    page = explorer.page(frames.read(tmp_path))
    own = page.partition("<table id=own>")[2].partition("</table>")[0]
    verdicts = page.partition("<table id=verdicts>")[2].partition("</table>")[0]
    assert "<tr><th scope=row>mine<td>different but negligible<td>mnist<td>" in own
    assert "mine" not in verdicts
    assert "tf-model-1" in verdicts


def test_the_explorer_of_own_networks_alone_has_their_verdict_and_no_empty_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer, "_library", lambda: "")
    add_own(tmp_path)
    page = explorer.page(frames.read(tmp_path))
    assert "<li><b>mine, accuracy</b>: different but negligible. " in page
    for name in ("verdicts", "speed"):
        assert f'<section data-table="{name}" hidden' in page
        assert f'<a href="#{name}-title" hidden>' in page
    add_pairs(tmp_path, [0.1, -0.1, 0.02])
    page = explorer.page(frames.read(tmp_path))
    assert '<section data-table="verdicts" aria' in page
