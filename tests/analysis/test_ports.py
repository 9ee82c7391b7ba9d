"""A planted mistake is found in the right stage with the right cause, or not; no mistake is a false alarm."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.port_rows import add_comparison, add_planted

from common.analysis import frames
from common.analysis.ports import Proof, proof


def recorded(folder: Path) -> Proof:
    return proof(frames.frame(folder, "ports.csv"))


@pytest.mark.parametrize(
    "found, stage, cause, wrong",
    [
        ("forward/activation", True, True, False),
        ("", False, False, False),
        ("forward/unknown", True, False, False),
        ("statistics/activation", False, True, False),
        ("forward/input-scaling", True, False, True),
        ("forward/activation gradient/unknown", True, False, False),
        ("forward/activation statistics/dropout-kind", True, False, True),
        ("statistics/dropout-kind forward/activation", False, False, True),
    ],
)
def test_a_planted_mistake(tmp_path: Path, found: str, stage: bool, cause: bool, wrong: bool) -> None:
    add_planted(tmp_path, "activation", found, inherent="statistics/batchnorm-variance")
    (comparison,) = recorded(tmp_path).named
    judged = comparison.is_stage_right, comparison.is_cause_right, comparison.is_cause_wrong
    assert judged == (stage, cause, wrong)


def test_an_inherent_mistake_is_right_if_nothing_else_is_found(tmp_path: Path) -> None:
    inherent = "statistics/batchnorm-variance optimizer/momentum-learning-rate"
    add_planted(tmp_path, "batchnorm-variance", "", inherent=inherent, stages="statistics")
    add_planted(tmp_path, "batchnorm-variance", "loss/unknown", inherent=inherent, seed=2)
    right, not_right = recorded(tmp_path).named
    assert right.is_stage_right
    assert right.is_cause_right
    assert not not_right.is_cause_right


def test_rows_of_older_revisions_and_repeated_ones_do_not_count(tmp_path: Path) -> None:
    add_planted(tmp_path, "activation", "", revision=1)
    add_planted(tmp_path, "activation", "")
    add_planted(tmp_path, "activation", "forward/activation")
    (comparison,) = recorded(tmp_path).named
    assert comparison.is_cause_right


def test_false_alarms(tmp_path: Path) -> None:
    add_comparison(tmp_path, inherent="statistics/batchnorm-variance")
    add_comparison(tmp_path, seed=2, found="training/unknown")
    add_comparison(tmp_path, seed=3, reason="The process of PyTorch has ended with status 1")
    add_comparison(tmp_path, mutant="command")
    add_planted(tmp_path, "unknown", "forward/unknown")
    found = recorded(tmp_path)
    assert [comparison.is_false_alarm for comparison in found.alone] == [False, True, True]
    assert len(found.commands) == len(found.unnamed) == 1
    assert found.unnamed[0].is_cause_right
    assert not found.named
