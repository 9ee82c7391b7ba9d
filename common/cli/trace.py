"""A trace: the losses of a run's first steps, or of its first epoch, with dropout masks from NumPy.

In double precision the traces of two frameworks agree to rounding error, which proves that both compute the
same formulas. In single precision rounding errors grow, so the yardstick for a difference is the trace of
one framework from weights that are one unit in the last place larger.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.data.augment import augmented
from common.data.batches import channel_first, epoch_order, normalise
from common.data.datasets import Dataset
from common.model import schedule
from common.training.backend import Backend
from common.training.evaluate import evaluate
from common.training.job import Job
from common.training.run import build

STEPS = 100


@dataclass(frozen=True, eq=False)
class Trace:
    """The loss of each step, in nats, and after a whole epoch the test accuracy in percent."""

    losses: NDArray[np.float64]
    accuracy: float | None


def trace(framework: Backend, dataset: Dataset, job: Job, *, whole: bool = False) -> Trace:
    """Train the first STEPS steps of the job's recipe, or with `whole` its first epoch, and test after it."""
    recipe, labels = job.recipe, dataset.train.labels.astype(np.int64)
    images = recipe.preprocess(dataset.train.images)
    if recipe.augment:
        images = augmented(images, recipe.augment, seed=job.seed, epoch=1)
    order = epoch_order(len(labels), batch_size=recipe.batch_size, seed=job.seed, epoch=1)
    length = {"epochs": job.schedule_epochs, "steps": len(order)}
    rates = schedule.rates(recipe.schedule, lr=recipe.lr, **length)
    momenta = schedule.momenta(recipe.schedule, **length)
    order = order if whole else order[:STEPS]
    steps = slice(len(order))
    execution = dataclasses.replace(job.execution, masks=job.seed)
    model = build(framework, dataclasses.replace(job, execution=execution))
    momentum = None if momenta is None else momenta[steps]
    losses, _ = model.train_steps(channel_first(images), labels, order, rates[steps], momentum)
    if not whole:
        return Trace(losses, None)
    test = evaluate(
        model,
        recipe.preprocess(dataset.test.images),
        dataset.test.labels.astype(np.int64),
        partial(normalise, scaling=job.execution.scaling, dtype=job.input_dtype),
        batch_size=job.test_batch_size,
    )
    return Trace(losses, test.accuracy)
