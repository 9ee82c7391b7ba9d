"""The losses of a run's first steps, with dropout masks from NumPy: what proves two programs the same.

In double precision two such agree to rounding. In single precision rounding grows, so there a run can only be
compared with itself from weights that are one unit in the last place away.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from common import schedule
from common.augment import augmented
from common.backend import Backend
from common.data import Digits, epoch_order
from common.run import Job, build

STEPS = 100


def trace(framework: Backend, digits: Digits, job: Job) -> NDArray[np.float64]:
    """Each loss of the first STEPS steps of the job's recipe, in nats, (STEPS,)."""
    recipe, labels = job.recipe, digits.labels.astype(np.int64)
    images = digits.images
    if recipe.augment:
        images = augmented(images, recipe.augment, seed=job.seed, epoch=1)
    order = epoch_order(len(labels), batch_size=recipe.batch_size, seed=job.seed, epoch=1)
    span = {"epochs": job.schedule_epochs, "steps": len(order)}
    order = order[:STEPS]
    rates = schedule.rates(recipe.schedule, lr=recipe.lr, **span)[: len(order)]
    momenta = schedule.momenta(recipe.schedule, **span)
    execution = dataclasses.replace(job.execution, masks=job.seed)
    model = build(framework, dataclasses.replace(job, execution=execution))
    momentum = None if momenta is None else momenta[: len(order)]
    losses, _ = model.train_steps(images[:, None], labels, order, rates, momentum)
    return losses
