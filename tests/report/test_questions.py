"""Every question has an answer with a figure of the tables, or says that there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.mistakes import add_mistakes
from support.tables import add_pairs, add_run, add_variants, timing_row

from common.analysis import frames
from common.analysis.answer import Answer
from common.frameworks import ROOT
from common.report import questions
from common.report.facts import UNKNOWN, Facts
from common.tables import store


@pytest.mark.slow
def test_every_answer_has_a_figure_of_the_recorded_tables() -> None:
    asked = questions.questions(Facts(Answer(frames.read(ROOT / "results"))))
    assert len(asked) == 19
    for each in asked:
        assert re.search(r"\d", each.answer), each.title
        assert each.command.startswith("python ")


def test_without_rows_every_figure_is_named_as_missing(tmp_path: Path) -> None:
    page = questions.page(Answer(frames.read(tmp_path)))
    assert page.count("\n## ") == 19
    assert page.count(UNKNOWN) >= 12


def test_the_contents_lead_to_the_questions(tmp_path: Path) -> None:
    page = questions.page(Answer(frames.read(tmp_path)))
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    slugs = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    assert re.findall(r"^- \[.*\]\(#(.*)\)$", page, re.MULTILINE) == slugs


def test_repeated_runs_are_counted_by_framework(tmp_path: Path) -> None:
    for framework, losses in (("pytorch", (0.1, 0.1)), ("tensorflow", (0.1, 0.2))):
        for loss in losses:
            add_run(tmp_path, framework=framework, loss=loss)
    add_run(tmp_path, seed=2)
    facts = Facts(Answer(frames.read(tmp_path)))
    assert facts.repeats == "1 of 1 in PyTorch, 0 of 1 in TensorFlow"


def test_effects_name_network_and_framework(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), norm=(99.1, 98.8), all=(99.2, 98.9))
    facts = Facts(Answer(frames.read(tmp_path)))
    first, second = facts.effect("norm").split(", ")
    assert first == "+0.10 (+0.10 to +0.10) (`under-5k` in PyTorch)"
    assert second == "-0.20 (-0.20 to -0.20) (`under-5k` in TensorFlow) points"


def test_negative_controls_are_no_effects(tmp_path: Path) -> None:
    add_variants(tmp_path, model="tf-model-1", none=(97.0, 97.0), init=(97.1, 97.2))
    assert "TensorFlow" not in Facts(Answer(frames.read(tmp_path))).effect("init")


def test_a_framework_whose_definition_is_held_equal_has_no_effect(tmp_path: Path) -> None:
    add_variants(tmp_path, none=(99.0, 99.0), norm=(99.0, 98.9))
    effect = Facts(Answer(frames.read(tmp_path))).effect("norm")
    assert effect.startswith(
        "-0.10 (-0.10 to -0.10) (`under-5k` in TensorFlow) points; none for `under-5k` in PyTorch"
    )


def test_epochs_in_which_the_rates_are_equal(tmp_path: Path) -> None:
    add_pairs(tmp_path, [0.0])
    add_run(tmp_path, "nextjournal")  # in one framework alone
    facts = Facts(Answer(frames.read(tmp_path)))
    assert facts.equal_rates == "8 of 8"


def test_the_costs_of_a_mistake_name_their_networks(tmp_path: Path) -> None:
    for seed in (1, 2):
        add_mistakes(tmp_path, seed=seed, none=97.0, **{"loss-sum": 95.0})
        add_mistakes(tmp_path, "speedrun", seed=seed, none=99.0, **{"loss-sum": 98.5})
    facts = Facts(Answer(frames.read(tmp_path)))
    assert facts.costs("loss-sum") == (
        "+2.00 (+2.00 to +2.00) points in `tf-model-1` and +0.50 (+0.50 to +0.50) points in `speedrun`"
    )
    assert facts.costs("softmax-twice") == UNKNOWN


def test_compiled_steps_are_over_those_without(tmp_path: Path) -> None:
    rows = [timing_row("option", arm, value) for arm, value in (("default", 2.0), ("compile", 3.0))]
    rows += [timing_row("option", arm, 4.0, framework="tensorflow") for arm in ("default", "bfloat16")]
    store.append_rows(tmp_path, "speed.csv", rows)
    facts = Facts(Answer(frames.read(tmp_path)))
    assert facts.compiled_steps == "1.5 to 1.5 times as long in PyTorch"
