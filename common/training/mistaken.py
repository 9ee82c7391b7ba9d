"""Runs with a planted mistake, beside the right run of the same seed, and a forward check of each.

The check is the one that porters make first: both programs predict the same batch, prepared by the right one,
with the weights that the right run ended with. A mistake in the data or in training is not in its outputs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from common.data.batches import Scaling, normalise
from common.data.datasets import TRAINING_IMAGES, Dataset
from common.model import schedule
from common.model.layers import Conv, pair
from common.model.recipe import Recipe
from common.model.schedule import Linear
from common.model.spec import Layer, ModelSpec, Node
from common.tables.schema import Status
from common.training import initial_weights, mistakes
from common.training.backend import Array, Backend, Model
from common.training.evaluate import Evaluation, evaluate
from common.training.job import Job
from common.training.loop import Diverged, train
from common.training.mistakes import BY_NAME
from common.training.run import build

CHECKED = 256  # test images in the batch of the forward check


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Accuracy (percent) and loss (nats, None if it is not finite) on the test set at the end of a run.

    `difference` is the largest one between its logits and those of the right run in the forward check (None
    if it is not finite), `floor` the right run's own when each of its weights moves by one unit in the last
    place.
    """

    mistake: str
    status: Status
    accuracy: float
    loss: float | None
    difference: float | None
    floor: float


@dataclass(frozen=True, eq=False)
class _Right:
    """A run without a mistake: its weights and statistics, and the batch and logits of the forward check."""

    state: dict[str, Array]
    batch: Array
    logits: Array
    floor: float


def outcomes(framework: Backend, dataset: Dataset, job: Job) -> Iterator[Outcome]:
    """The runs of `job` without a mistake, and with each that is at home in `framework`, as they end."""
    rights: dict[str, _Right] = {}
    for name in mistakes.runs(framework.name, job.spec, job.recipe):
        mistake = BY_NAME.get(name)
        changed = changed_job(name, job)
        model = build(framework, changed)
        if plant := framework.mistakes.get(name):
            plant(model, changed.spec)
        right = rights[mistake.reference] if mistake else None
        status: Status = "ok"
        if mistake and right and mistake.at_test:
            model.load_state_dict(right.state)
        else:
            status = _train(steps_changed(name, model, changed), dataset, changed)
        test = _test(model, dataset, changed)
        if right is None:
            right = rights[name] = _right(model, dataset, changed)
        model.load_state_dict(right.state)
        difference = _difference(model.predict(right.batch), right.logits)
        yield Outcome(
            mistake=name,
            status=status,
            accuracy=test.accuracy,
            loss=test.loss if math.isfinite(test.loss) else None,
            difference=difference if math.isfinite(difference) else None,
            floor=right.floor,
        )


def changed_job(name: str, job: Job) -> Job:
    """`job` as the program with the mistake, or of the reference, `name` has it."""
    match name:
        case mistakes.PADDED | "padding-same-stride":
            return dataclasses.replace(job, spec=padded(job.spec))
        case "schedule-per-epoch":
            return dataclasses.replace(job, recipe=_stepped_per_epoch(job))
        case "pixels-unscaled":
            scaling = Scaling(0.0, 1 / 255)
        case "images-unnormalised":
            scaling = Scaling()
        case _:
            return job
    return dataclasses.replace(job, execution=dataclasses.replace(job.execution, scaling=scaling))


def padded(spec: ModelSpec) -> ModelSpec:
    """`spec` with a stride of 2 and a padding of half the kernel in its strided convolutions: there "same"
    pads as much in all, and one pixel less above and to the left."""

    def changed(node: Node) -> Layer:
        if not isinstance(node.layer, Conv) or not mistakes.is_strided(node):
            return node.layer
        rows, columns = pair(node.layer.kernel_size)
        return dataclasses.replace(node.layer, stride=2, padding=(rows // 2, columns // 2))

    return dataclasses.replace(spec, layers=tuple(map(changed, spec.nodes())))


def _stepped_per_epoch(job: Job) -> Recipe:
    """The recipe with the rates of its first steps, one for each epoch."""
    recipe, epochs = job.recipe, job.schedule_epochs
    steps = TRAINING_IMAGES // recipe.batch_size
    rates = schedule.rates(recipe.schedule, lr=1.0, epochs=epochs, steps=steps)[:epochs]
    constant = Linear((*map(float, range(epochs)), float(epochs)), (*map(float, rates), float(rates[-1])))
    return dataclasses.replace(recipe, schedule=constant)


def steps_changed(name: str, model: Model, job: Job) -> Model:
    """`model` whose training steps have the order, or the images, of the program with the mistake."""
    match name:
        case "no-shuffling":
            return _Unshuffled(model, job)
        case "last-batch-unscaled":
            return _LastBatchUnscaled(model, job)
        case _:
            return model


class _Changed:
    """A model whose training steps are changed; it counts them."""

    def __init__(self, model: Model, job: Job) -> None:
        self.model, self.job = model, job
        self.predict, self.state_dict = model.predict, model.state_dict
        self.load_state_dict = model.load_state_dict
        self.done = 0


class _Unshuffled(_Changed):
    """Steps of an epoch have the images in the order of the file."""

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        steps, batch_size = order.shape
        first = self.done % (len(labels) // batch_size) * batch_size
        self.done += steps
        in_file = np.arange(first, first + order.size).reshape(order.shape)
        return self.model.train_steps(images, labels, in_file, rate, momentum)


class _LastBatchUnscaled(_Changed):
    """The last step of the last epoch has pixels from 0 to 255."""

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        self.done += len(order)
        steps = len(labels) // self.job.recipe.batch_size * self.job.recipe.epochs
        if self.done < steps:
            return self.model.train_steps(images, labels, order, rate, momentum)
        *parts, last = (slice(0, -1), slice(-1, None)) if len(order) > 1 else (slice(None),)
        results = []
        for part in (*parts, last):
            chosen, chosen_labels, chosen_order = images, labels, order[part]
            if part is last:
                batch = order[-1]
                chosen, chosen_labels = images[batch].astype(self.job.input_dtype), labels[batch]
                chosen_order = np.arange(len(batch))[None]
            pace = rate[part], None if momentum is None else momentum[part]
            results.append(self.model.train_steps(chosen, chosen_labels, chosen_order, *pace))
        losses, correct = zip(*results, strict=True)
        return np.concatenate(losses), np.concatenate(correct)


def _train(model: Model, dataset: Dataset, job: Job) -> Status:
    """Train to the end, or until the loss is not finite."""
    try:
        for _ in train(model, dataset, job):
            pass
    except Diverged:
        return "diverged"
    return "ok"


def _test(model: Model, dataset: Dataset, job: Job) -> Evaluation:
    scaled = partial(normalise, scaling=job.execution.scaling, dtype=job.input_dtype)
    images, labels = job.recipe.preprocess(dataset.test.images), dataset.test.labels.astype(np.int64)
    return evaluate(model, images, labels, scaled, batch_size=job.test_batch_size)


def _right(model: Model, dataset: Dataset, job: Job) -> _Right:
    every, names = model.state_dict(), (*job.spec.weights, *job.spec.statistics)
    state = {name: every[name] for name in names}
    images = job.recipe.preprocess(dataset.test.images[:CHECKED])
    batch = normalise(images, job.execution.scaling, dtype=job.input_dtype)
    logits = model.predict(batch)
    model.load_state_dict(initial_weights.perturbed(state))
    return _Right(state, batch, logits, _difference(model.predict(batch), logits))


def _difference(outputs: Array, others: Array) -> float:
    """The largest difference of two arrays' values."""
    return float(np.abs(outputs.astype(np.float64) - others).max())
