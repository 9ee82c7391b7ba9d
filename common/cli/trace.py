"""A run's first steps, or first epoch, with dropout masks from NumPy: what proves two programs the same.

In double precision two such agree to rounding. In single precision rounding grows, so there a run can only be
compared with itself from weights that are one unit in the last place away.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.data.augment import augmented
from common.data.batches import epoch_order
from common.data.datasets import Dataset
from common.model import schedule
from common.training.backend import Backend
from common.training.evaluate import evaluate
from common.training.job import Job
from common.training.run import build

STEPS = 100


@dataclass(frozen=True, eq=False)
class Trace:
    """The loss of each step taken, in nats, and after a whole epoch the test accuracy in percent."""

    losses: NDArray[np.float64]
    accuracy: float | None


def trace(framework: Backend, dataset: Dataset, job: Job, *, whole: bool = False) -> Trace:
    """The first STEPS steps of the job's recipe, or the whole of its first epoch and a test."""
    recipe, labels = job.recipe, dataset.train.labels.astype(np.int64)
    images = recipe.preprocess(dataset.train.images)
    if recipe.augment:
        images = augmented(images, recipe.augment, seed=job.seed, epoch=1)
    order = epoch_order(len(labels), batch_size=recipe.batch_size, seed=job.seed, epoch=1)
    span = {"epochs": job.schedule_epochs, "steps": len(order)}
    order = order if whole else order[:STEPS]
    rates = schedule.rates(recipe.schedule, lr=recipe.lr, **span)[: len(order)]
    momenta = schedule.momenta(recipe.schedule, **span)
    execution = dataclasses.replace(job.execution, masks=job.seed)
    model = build(framework, dataclasses.replace(job, execution=execution))
    momentum = None if momenta is None else momenta[: len(order)]
    losses, _ = model.train_steps(images[:, None], labels, order, rates, momentum)
    if not whole:
        return Trace(losses, None)
    scaled = partial(recipe.normalise, dtype=job.input_dtype)
    tested = recipe.preprocess(dataset.test.images)
    wanted = dataset.test.labels.astype(np.int64)
    test = evaluate(model, tested, wanted, scaled, batch_size=job.test_batch_size)
    return Trace(losses, test.accuracy)
