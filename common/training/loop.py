"""One run, once for all frameworks, as a generator: order, pixels, schedule, clock, evaluation, divergence.

The clock of training covers everything from the data in memory as bytes: normalisation, augmentation and
steps. Evaluation has its own. Batches come from memory, in our order, or from the framework's own loader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.augment import EpochPrefetcher
from common.data.datasets import Dataset, Digits, epoch_order
from common.model import schedule
from common.model.recipe import Recipe
from common.training.backend import Model

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is, apart from its model and data: recipe.epochs in all, `start_epoch` of them done already,
    on a schedule made for `schedule_epochs` (at least as many)."""

    recipe: Recipe
    schedule_epochs: int
    seed: int
    test_batch_size: int = 1000
    log_interval: int = 100
    start_epoch: int = 0
    dtype: str = "float32"
    native_loader: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`step` of the epoch's `steps` are done; loss (nats) and accuracy (percent) are of those since the last
    report; `seconds` of training in this epoch so far."""

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """An epoch of training: means of loss (nats) and accuracy (percent) over its batches as they were trained
    on, the rate of its first step, images seen, and seconds. The first step of a run, which also compiles and
    allocates, is timed apart (`first_step_seconds`, part of `seconds`); None in later epochs."""

    lr: float
    loss: float
    accuracy: float
    images: int
    seconds: float
    first_step_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A test: mean cross-entropy (nats), accuracy (percent), predicted labels (N,), seconds of prediction;
    `shifted_accuracy` where it was asked for."""

    loss: float
    accuracy: float
    predicted: NDArray[np.int64]
    seconds: float
    tta_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """After each epoch: its training, None for epoch 0 (the test before training), and its test."""

    epoch: int
    training: Training | None
    test: Evaluation


class Diverged(Exception):
    """The loss became infinite or not a number, at `step` of `epoch`, both counted from 1."""

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"The loss is {loss} at step {step} of epoch {epoch}: training diverged.")


def train(model: Model, dataset: Dataset, plan: Plan) -> Iterator[Progress | Epoch]:
    """Train `model` on dataset.train; test it on dataset.test before training and after each epoch.

    Raises Diverged at the first step whose loss is not finite.
    """
    recipe = plan.recipe
    test_images = recipe.preprocess(dataset.test.images)
    test_labels = dataset.test.labels.astype(np.int64)
    labels = dataset.train.labels.astype(np.int64)
    rates, momenta = _schedule(plan, len(labels) // recipe.batch_size)
    pixels = _Pixels(dataset.train, plan)
    batch_size = recipe.batch_size
    ends: list[dict[str, Array]] = []  # of the epochs that are averaged

    def tested(epoch: int, training: Training | None) -> Epoch:
        test = evaluate(
            model,
            test_images,
            test_labels,
            partial(recipe.normalise, dtype=plan.dtype),
            batch_size=plan.test_batch_size,
            shifted=recipe.tta_shift if epoch == recipe.epochs else 0,
        )
        return Epoch(epoch=epoch, training=training, test=test)

    if plan.start_epoch == 0:
        yield tested(0, None)
    for epoch in range(plan.start_epoch + 1, plan.recipe.epochs + 1):
        begun = time.perf_counter()
        momentum = None if momenta is None else momenta[epoch - 1]
        if plan.native_loader:
            seed = plan.seed * 10_000 + epoch
            parts = model.train_epoch(
                dataset.train, rates[epoch - 1], momentum, batch_size=batch_size, seed=seed
            )
        else:
            order = epoch_order(len(labels), batch_size=batch_size, seed=plan.seed, epoch=epoch)
            batches = pixels.of(epoch), labels, order, rates[epoch - 1], momentum
            parts = _from_memory(model, batches, pixels, plan, epoch)
        training = yield from _train_epoch(parts, rates[epoch - 1], plan, epoch=epoch, begun=begun)
        if epoch > recipe.epochs - recipe.averaged_epochs:
            ends.append(_weights(model))
        if ends and epoch == recipe.epochs:
            model.load_state_dict({name: _mean([end[name] for end in ends]) for name in ends[0]})
        yield tested(epoch, training)


def _weights(model: Model) -> dict[str, Array]:
    """Weights and statistics as they are now, without what only training needs."""
    state = model.state_dict()
    return {name: array for name, array in state.items() if not name.startswith(("optimizer.", "random."))}


def _mean(arrays: Sequence[Array]) -> Array:
    """In double precision, as the type of the arrays."""
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float64), arrays[0].dtype)


def evaluate(
    model: Model,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    scaled: Callable[[NDArray[np.uint8]], Array],
    *,
    batch_size: int,
    shifted: int = 0,
) -> Evaluation:
    """Test `model` on images (N, 28, 28) and labels (N,); `scaled` makes a batch the network's input.

    The figures are computed here, in float64; the seconds are the model's alone, for the images as they are.
    With `shifted`, in pixels, also by the mean logits of these and of them shifted.
    """
    seconds, losses, predicted, over_shifts = 0.0, [], [], []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        batch = scaled(images[part])
        begun = time.perf_counter()
        logits = model.predict(batch)
        seconds += time.perf_counter() - begun
        predicted.append(logits.argmax(axis=1))
        losses.append(cross_entropy(logits, labels[part]))
        if shifted:
            others = [model.predict(scaled(view)) for view in _shifts(images[part], by=shifted)]
            mean = np.mean([logits, *others], axis=0, dtype=np.float64)
            over_shifts.append(mean.argmax(axis=1))
    return Evaluation(
        loss=float(np.concatenate(losses).mean()),
        accuracy=_accuracy(predicted, labels),
        predicted=np.concatenate(predicted),
        seconds=seconds,
        tta_accuracy=_accuracy(over_shifts, labels) if shifted else None,
    )


def _accuracy(predicted: Sequence[NDArray[np.int64]], labels: NDArray[np.int64]) -> float:
    """In percent, of the batches of predicted labels."""
    return 100 * float((np.concatenate(predicted) == labels).mean())


def _shifts(images: NDArray[np.uint8], *, by: int) -> list[NDArray[np.uint8]]:
    """Images (N, 28, 28) `by` pixels further up, down, left and right; zeros come in."""
    height, width = images.shape[1:]
    wide = np.pad(images, ((0, 0), (by, by), (by, by)))
    corners = [(2 * by, by), (0, by), (by, 2 * by), (by, 0)]
    return [wide[:, top : top + height, left : left + width] for top, left in corners]


def cross_entropy(logits: Array, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each image, in nats and float64, from logits (N, outputs) and labels (N,)."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    wanted = shifted[np.arange(len(labels)), labels]
    losses: NDArray[np.float64] = np.log(np.exp(shifted, out=shifted).sum(axis=1)) - wanted
    return losses


def _schedule(plan: Plan, steps: int) -> tuple[Array, Array | None]:
    """Rates, and momenta if the schedule has them, as (epochs, steps)."""
    recipe, length = plan.recipe, plan.schedule_epochs
    rates = schedule.rates(recipe.schedule, lr=recipe.lr, epochs=length, steps=steps)
    momenta = schedule.momenta(recipe.schedule, epochs=length, steps=steps)
    return rates.reshape(length, steps), None if momenta is None else momenta.reshape(length, steps)


class _Pixels:
    """The training images (N, 1, 28, 28) of each epoch in turn; augmented ones are made an epoch ahead."""

    def __init__(self, digits: Digits, plan: Plan) -> None:
        self.digits, self.plan = digits, plan
        self.ahead: EpochPrefetcher | None = None

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """(N, 28, 28), made in the first epoch's time."""
        return self.plan.recipe.preprocess(self.digits.images)

    @cached_property
    def plain(self) -> Array:
        """One array: a model moves another one to its device anew."""
        return self.images[:, None]

    def of(self, epoch: int) -> Array:
        """Those of `epoch`; those of the next one are begun."""
        augment = self.plan.recipe.augment
        if augment is None:
            return self.plain
        begin = partial(EpochPrefetcher, self.images, augment, seed=self.plan.seed)
        images = (self.ahead or begin(epoch=epoch)).finish()
        self.ahead = begin(epoch=epoch + 1) if epoch < self.plan.recipe.epochs else None
        return images[:, None]

    def prepare(self, share: float) -> None:
        """Bring the next epoch's as far as this one has been trained on."""
        if self.ahead:
            self.ahead.advance_to(share)


def _from_memory(
    model: Model,
    batches: tuple[Array, Array, Array, Array, Array | None],
    pixels: _Pixels,
    plan: Plan,
    epoch: int,
) -> Iterator[tuple[Array, Array]]:
    """All steps of an epoch, `log_interval` in a call; the first step of a run in a call of its own."""
    images, labels, order, rate, momentum = batches
    alone = {1} if epoch == plan.start_epoch + 1 else set()
    bounds = sorted({0, len(order), *range(plan.log_interval, len(order), plan.log_interval)} | alone)
    for part in map(slice, bounds, bounds[1:]):
        now = None if momentum is None else momentum[part]
        yield model.train_steps(images, labels, order[part], rate[part], now)
        pixels.prepare(part.stop / len(order))


def _train_epoch(
    parts: Iterator[tuple[Array, Array]], rate: Array, plan: Plan, *, epoch: int, begun: float
) -> Generator[Progress, None, Training]:
    """An epoch whose losses and correct predictions come in `parts`, some steps at a time."""
    steps, batch_size = len(rate), plan.recipe.batch_size
    losses, correct = np.empty(steps), np.empty(steps)
    done = reported = 0
    first_step_seconds, called = None, time.perf_counter()
    for part_losses, part_correct in parts:
        if done == 0 and len(part_losses) == 1 and epoch == plan.start_epoch + 1:
            first_step_seconds = time.perf_counter() - called
        start, done = done, done + len(part_losses)
        losses[start:done], correct[start:done] = part_losses, part_correct
        finite = np.isfinite(part_losses)
        if not finite.all():
            step = start + int(finite.argmin())
            raise Diverged(epoch, step + 1, float(losses[step]))
        if done % plan.log_interval and done < steps:
            continue  # the first step alone says nothing of the pace
        yield Progress(
            epoch=epoch,
            step=done,
            steps=steps,
            loss=float(losses[reported:done].mean()),
            accuracy=100 * float(correct[reported:done].mean()) / batch_size,
            seconds=time.perf_counter() - begun,
        )
        reported = done
    return Training(
        lr=float(rate[0]),
        loss=float(losses.mean()),
        accuracy=100 * float(correct.mean()) / batch_size,
        images=steps * batch_size,
        seconds=time.perf_counter() - begun,
        first_step_seconds=first_step_seconds,
    )
