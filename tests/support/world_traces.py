"""Traces of several networks by all processes of a world, which a launcher starts once for all of them.

`python world_traces.py FRAMEWORK FILE`: FILE gets, as JSON, the losses of the first steps of each of
EXACT in double precision, and the accuracy of NEAR after an epoch.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from support import worker
from support.jobs import job
from support.networks import without_dropout

from common.cli.trace import trace
from common.data.batches import Scaling
from common.data.datasets import Dataset, Digits, load
from common.model.entry import Entry
from common.model.zoo import ZOO
from common.training.backend import Execution
from common.training.distributed import World, read_world
from common.training.job import Job
from common.training.loop import Epoch, train
from common.training.run import build

EXACT = {
    "pytorch-model-1-printed": 20,
    "pytorch-model-1": 50,
    "tf-model-1": 100,
    "nextjournal": 100,
    "mlp-tuned": 100,
    "one-epoch-215k": 20,
}
"""Networks that compute the same in all worlds, `nextjournal` once its dropout is left out, with the number
of steps that are compared."""
BATCH_SIZE = 32
"""Images in a batch of EXACT at most, so that double precision takes less time."""
NEAR = "nextjournal"
"""A network with dropout, of which each process draws its own masks."""


def exact_job(network: str, world: World = World()) -> Job:
    """A job in double precision of a network without dropout."""
    entry = ZOO[network]
    recipe = replace(entry.recipe, batch_size=min(entry.recipe.batch_size, BATCH_SIZE))
    execution = _execution(entry, precision="float64", world=world)
    changes = {"spec": without_dropout(entry.spec), "recipe": recipe, "execution": execution}
    return job(network, recipe.epochs, **changes)


def _execution(entry: Entry, **changes: Any) -> Execution:
    recipe = entry.recipe
    scaling = Scaling(recipe.mean, recipe.std)
    return Execution(scaling=scaling, label_smoothing=recipe.label_smoothing, **changes)


def first_images(dataset: Dataset, network: str) -> Dataset:
    """The part of `dataset` that one of EXACT is trained on."""
    count = EXACT[network] * exact_job(network).recipe.batch_size
    train = Digits(dataset.train.images[:count], dataset.train.labels[:count])
    return Dataset(dataset.name, train, dataset.test)


def main(framework: str, file: Path) -> None:
    world = read_world(framework, os.environ)
    backend = worker.start_backend(framework)
    mnist = load("mnist")
    losses = {
        network: trace(backend, first_images(mnist, network), exact_job(network, world)).losses.tolist()
        for network in EXACT
    }
    one_epoch = job(NEAR, 1, execution=_execution(ZOO[NEAR], world=world), log_interval=1000)
    *_, last = train(build(backend, one_epoch), mnist, one_epoch)
    assert isinstance(last, Epoch)
    if world.rank == 0:
        file.write_text(json.dumps({"losses": losses, "accuracy": last.test.accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
