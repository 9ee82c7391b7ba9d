"""`bench ports` records each comparison when it ends, and goes on where it ended; the planted mistakes."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.bench import __main__ as bench
from common.bench import ports
from common.bench.ports import planted, tasks
from common.bench.proof.catalogue import MUTANTS
from common.bench.proof.networks import NETWORKS, PLANTED, written
from common.frameworks import PAIR
from common.port import check
from common.port.causes import SENTENCES
from common.port.check import Finding, Question, Report
from common.port.workers import WorkerError
from common.tables import store

WORDS = ["ports", "--models", "tf-model-1", "--mutants", "none", "activation-other", "--results"]


class StandIn:
    """Processes that compare nothing."""

    ended = False

    def __init__(self, **_: object) -> None:
        self.left = SimpleNamespace(ask=lambda verb, **_: {"dense.weight": np.zeros((10, 3))})

    def both(self, verb: str) -> tuple[dict[str, str], dict[str, str]]:
        return {"torch": "1"}, {"keras": "3"}

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """The questions that are asked; the second cannot be answered, and at the fourth Ctrl-C comes."""
    questions: list[Question] = []

    def compare(workers: Any, question: Question) -> Report:
        questions.append(question)
        if len(questions) == 2:
            raise WorkerError("RuntimeError:\nout of memory")
        if len(questions) == 4:
            raise KeyboardInterrupt
        places = [("forward", "activation"), ("optimizer", "optimizer-epsilon-place")]
        findings = [
            Finding(stage=stage, where="", cause=cause, difference=1.0, floor=0.0) for stage, cause in places
        ]
        return Report(findings=findings)

    monkeypatch.setattr(ports, "Workers", StandIn)
    monkeypatch.setattr(ports, "compare", compare)
    return questions


def test_an_interrupted_bench_goes_on_where_it_stopped(
    compared: list[Question], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*WORDS, str(tmp_path)]) == 130
    assert "5 comparisons, 0 in the table already, 5 to make." in capsys.readouterr().out
    rows = store.rows(tmp_path, "ports.csv")
    assert [(row["mutant"], row["framework"]) for row in rows] == [
        ("activation-other", PAIR[1]),
        ("none", ""),
        ("none", ""),
    ]
    assert [row["found"] for row in rows] == ["forward/activation", "", "forward/activation"]
    assert [row["reason"] for row in rows] == ["", "RuntimeError: out of memory", ""]
    assert rows[0]["inherent"] == "optimizer/optimizer-epsilon-place"
    assert (rows[0]["parameters"], rows[0]["versions"]) == ("30", "torch 1, keras 3")

    assert bench.main([*WORDS, str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "5 comparisons, 3 in the table already, 2 to make." in printed
    assert "left" in printed
    assert [question.seed for question in compared] == [1, 1, 2, 3, 3, 1]
    assert "| `activation` | 1 | 2 | 2 | 2 | 0 |" in printed


def test_a_new_revision_is_measured_anew(
    compared: list[Question], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "REVISION", check.REVISION + 1)
    assert bench.main([*WORDS, str(tmp_path)]) == 130
    assert len(store.rows(tmp_path, "ports.csv")) == 3
    monkeypatch.undo()
    assert len(ports.missing(SimpleNamespace(models=["best"], mutants=["none"], results=tmp_path))) == 3  # type: ignore[arg-type]


def test_a_dry_run_makes_no_folder(
    compared: list[Question], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "results"
    assert bench.main([*WORDS, str(folder), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"tf-model-1 activation-other {PAIR[1]} seed 1"
    assert not compared
    assert not folder.exists()


def test_every_cause_is_planted_on_a_side_where_it_can_be() -> None:
    assert {mutant.cause for mutant in MUTANTS} == set(SENTENCES)
    assert len({(mutant.name, mutant.framework) for mutant in MUTANTS}) == len(MUTANTS)
    one_side = {"batchnorm-variance", "optimizer-epsilon-place", "momentum-learning-rate"}
    for cause in SENTENCES:
        sides = {mutant.framework for mutant in MUTANTS if mutant.cause == cause}
        assert len(sides) == 1 if cause in one_side else sides == set(PAIR)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.name}-{mutant.framework}")
def test_a_mistake_changes_one_file_of_the_networks_that_have_room_for_it(mutant: Any) -> None:
    room = [model for model in PLANTED if planted(model, mutant) is not None]
    assert room
    for model in room:
        wrong = planted(model, mutant)
        assert wrong
        for text in (wrong.left, wrong.right):
            ast.parse(text)


@pytest.mark.parametrize("model", NETWORKS)
def test_a_network_is_two_files_that_python_reads(model: str) -> None:
    texts = written(model)
    assert texts
    for text in (texts.left, texts.right):
        ast.parse(text)


def test_each_comparison_is_made_once_and_the_first_ones_are_on_alternating_sides() -> None:
    made = list(tasks())
    assert len({task.key for task in made}) == len(made)
    first = made[: next(number for number, task in enumerate(made) if task.mutant == "command")]
    assert len({(task.model, task.mutant) for task in first}) == len(first)
    sides = [task.framework for task in first if task.mutant == "nesterov"]
    assert sides in ([*PAIR] * 4 + [PAIR[0]], [*PAIR[::-1]] * 4 + [PAIR[1]])
