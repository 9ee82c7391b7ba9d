"""Every mistake changes what its run learns or predicts; a forward check finds those in the network alone."""

from __future__ import annotations

import pytest
from support import worker
from support.jobs import job

from common.analysis.mistakes import FLOORS
from common.data.datasets import Dataset
from common.model.zoo import ZOO
from common.training import mistakes
from common.training.backend import Execution
from common.training.mistakes import BY_NAME

FOUND = {"softmax-twice", "eval-mode-forgotten", "flatten-order", "padding-same-stride"}


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_each_mistake_is_planted(framework: str, few_digits: Dataset) -> None:
    entry = ZOO["speedrun"]
    planned = job("speedrun", 1, execution=Execution(scaling=entry.recipe.scaling))
    outcomes = {
        end.mistake: end for end in worker.run(framework, "mistaken", dataset=few_digits, job=planned)
    }
    assert list(outcomes) == list(mistakes.runs(framework, entry.spec, entry.recipe))
    for name, end in outcomes.items():
        differs = not end.difference <= FLOORS * end.floor
        assert end.floor > 0
        assert differs == (name in FOUND), name
        if name in BY_NAME:
            right = outcomes[BY_NAME[name].reference]
            assert end.loss != right.loss, name
    if "loss-broadcast" in outcomes:
        # All images have the same target: nothing is learned but the counts of the labels.
        assert outcomes["loss-broadcast"].accuracy < outcomes["none"].accuracy
