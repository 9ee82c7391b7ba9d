"""Both frameworks trace the same losses, and a perturbed start is one unit in the last place away."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support import worker
from support.jobs import job

from common.data.batches import Scaling
from common.data.datasets import Dataset
from common.training import initial_weights
from common.training.backend import Execution

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_perturbed_start_is_one_unit_in_the_last_place_away(framework: str) -> None:
    """And its run is never pooled with the others."""
    planned = job("under-5k", 3)
    moved = dataclasses.replace(planned, perturb=True)
    plain, other = (worker.run(framework, "started", job=one) for one in (planned, moved))
    for name in planned.spec.weights:
        np.testing.assert_array_equal(other[name], np.nextafter(plain[name], np.float32(np.inf)))
    assert moved.recipe_hash("pytorch") != planned.recipe_hash("pytorch")
    assert initial_weights.perturbed({"w": np.zeros(1, np.float32)})["w"] > 0


def test_both_frameworks_trace_the_same_with_dropout(few_digits: Dataset) -> None:
    planned = job("nextjournal", 3, execution=Execution(precision="float64", scaling=Scaling(0.1, 0.3)))
    pytorch, tensorflow = (
        worker.run(framework, "trace", dataset=few_digits, job=planned, whole=True)
        for framework in worker.FRAMEWORKS
    )
    np.testing.assert_allclose(pytorch.losses, tensorflow.losses, rtol=1e-10)
    assert len(pytorch.losses) == len(few_digits.train) // planned.recipe.batch_size
    assert pytorch.accuracy == tensorflow.accuracy > 0
