"""Traces of several networks by all processes of a world, which a launcher starts once for all of them.

`python world_traces.py FRAMEWORK FILE`: FILE gets, as JSON, the losses of 100 steps of each of EXACT in
double precision, and the accuracy of NEAR after an epoch.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from support import worker
from support.jobs import job

from common.cli.trace import trace
from common.data.batches import Scaling
from common.data.datasets import Dataset, Digits, load
from common.model.zoo import ZOO
from common.training.backend import Execution, Precision
from common.training.distributed import World, read_world
from common.training.job import Job

EXACT = ("pytorch-model-1-head", "tf-model-1", "mlp-tuned")
"""Networks without layers that differ between processes; with convolutions, augmentation, OneCycle."""
NEAR = "nextjournal"
"""A network with dropout, of which each process draws its own."""
IMAGES = 13_000  # 100 steps of the largest batch of EXACT


def traced_job(network: str, precision: Precision, world: World = World()) -> Job:
    recipe = ZOO[network].recipe
    execution = Execution(
        precision=precision,
        scaling=Scaling(recipe.mean, recipe.std),
        label_smoothing=recipe.label_smoothing,
        world=world,
    )
    return job(network, recipe.epochs, execution=execution)


def first_images(dataset: Dataset) -> Dataset:
    """The part of `dataset` that EXACT are trained on."""
    train = Digits(dataset.train.images[:IMAGES], dataset.train.labels[:IMAGES])
    return Dataset(dataset.name, train, dataset.test)


def main(framework: str, file: Path) -> None:
    world = read_world(framework, os.environ)
    backend = worker.start_backend(framework)
    mnist = load("mnist")
    few = first_images(mnist)
    losses = {
        network: trace(backend, few, traced_job(network, "float64", world)).losses.tolist()
        for network in EXACT
    }
    accuracy = trace(backend, mnist, traced_job(NEAR, "float32", world), whole=True).accuracy
    if world.rank == 0:
        file.write_text(json.dumps({"losses": losses, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
