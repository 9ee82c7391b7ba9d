"""The training loop, once for all frameworks: order, images, schedule, clock, evaluation, divergence.

The training clock starts with the bytes in memory and covers preprocessing, augmentation and steps.
Evaluation has a clock of its own. Batches come from memory in our order, or from the framework's own loader.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from common.data.augment import EpochPrefetcher
from common.data.batches import channel_first, epoch_order, normalise
from common.data.datasets import Dataset, Digits
from common.model import schedule
from common.training.backend import Array, Model, NativeLoader
from common.training.evaluate import Evaluation, evaluate
from common.training.job import Job


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Report in the middle of an epoch: `step` of `steps` are done; mean loss (nats) and accuracy (percent)
    over the steps since the last report; seconds of training in this epoch so far."""

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """An epoch of training: means of loss (nats) and accuracy (percent) over its batches as they were trained
    on, the learning rate of its first step, images seen, and seconds. The first step of a run, which also
    compiles and allocates, is timed separately: `first_step_seconds`, a part of `seconds`, is None in later
    epochs."""

    lr: float
    loss: float
    accuracy: float
    images: int
    seconds: float
    first_step_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Report at the end of an epoch: its training, None for epoch 0 (the test before training), and its
    test."""

    epoch: int
    training: Training | None
    test: Evaluation


class Diverged(Exception):
    """The loss became infinite or not a number, at `step` of `epoch`, both counted from 1."""

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"The loss is {loss} at step {step} of epoch {epoch}: training diverged.")


def train(
    model: Model, dataset: Dataset, job: Job, *, native_loader: NativeLoader | None = None
) -> Iterator[Progress | Epoch]:
    """Train `model` on dataset.train; test it on dataset.test before training and after each epoch.

    With `native_loader` batches come from the framework's own loader. Raises Diverged at the first step whose
    loss is not finite.
    """
    recipe = job.recipe
    test_images = recipe.preprocess(dataset.test.images)
    test_labels = dataset.test.labels.astype(np.int64)
    labels = dataset.train.labels.astype(np.int64)
    rates, momenta = _schedule(job, len(labels) // recipe.batch_size)
    images = _EpochImages(dataset.train, job)
    snapshots: list[dict[str, Array]] = []  # of the epochs that are averaged

    def evaluate_epoch(epoch: int, training: Training | None) -> Epoch:
        test = evaluate(
            model,
            test_images,
            test_labels,
            partial(normalise, scaling=job.execution.scaling, dtype=job.input_dtype),
            batch_size=job.test_batch_size,
            tta_shift=recipe.tta_shift if epoch == recipe.epochs else 0,
        )
        return Epoch(epoch=epoch, training=training, test=test)

    if job.start_epoch == 0:
        yield evaluate_epoch(0, None)
    for epoch in range(job.start_epoch + 1, recipe.epochs + 1):
        started_at = time.perf_counter()
        rate = rates[epoch - 1]
        momentum = None if momenta is None else momenta[epoch - 1]
        if native_loader:
            seed = job.seed * 10_000 + epoch
            chunks = native_loader.train_epoch(
                model, dataset.train, rate, momentum, batch_size=recipe.batch_size, seed=seed
            )
        else:
            order = epoch_order(len(labels), batch_size=recipe.batch_size, seed=job.seed, epoch=epoch)
            batches = images.of(epoch), labels, order, rate, momentum
            chunks = _memory_epoch(model, batches, images, job, epoch)
        training = yield from _train_epoch(chunks, rate, job, epoch=epoch, started_at=started_at)
        if epoch > recipe.epochs - recipe.averaged_epochs:
            snapshots.append(_weights(model))
        if snapshots and epoch == recipe.epochs:
            names = snapshots[0]
            model.load_state_dict({name: _mean([snapshot[name] for snapshot in snapshots]) for name in names})
        yield evaluate_epoch(epoch, training)


def _weights(model: Model) -> dict[str, Array]:
    """Weights and statistics of `model`, without optimizer and random states."""
    state = model.state_dict()
    return {name: array for name, array in state.items() if not name.startswith(("optimizer.", "random."))}


def _mean(arrays: Sequence[Array]) -> Array:
    """Mean of `arrays` taken in double precision, in their own type."""
    return np.asarray(np.mean(arrays, axis=0, dtype=np.float64), arrays[0].dtype)


def _schedule(job: Job, steps: int) -> tuple[Array, Array | None]:
    """Learning rates, and momenta if the schedule has them, as (epochs, steps)."""
    recipe, epochs = job.recipe, job.schedule_epochs
    rates = schedule.rates(recipe.schedule, lr=recipe.lr, epochs=epochs, steps=steps)
    momenta = schedule.momenta(recipe.schedule, epochs=epochs, steps=steps)
    return rates.reshape(epochs, steps), None if momenta is None else momenta.reshape(epochs, steps)


class _EpochImages:
    """Training images (N, channels, H, W) of each epoch in turn, augmented ones prepared an epoch ahead."""

    def __init__(self, digits: Digits, job: Job) -> None:
        self.digits, self.job = digits, job
        self.prefetcher: EpochPrefetcher | None = None

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """Training images before augmentation. Cached on first use, so the training clock covers them."""
        return self.job.recipe.preprocess(self.digits.images)

    @cached_property
    def plain(self) -> Array:
        """Images without augmentation: one array in all epochs, since a model copies a new one to its
        device."""
        return channel_first(self.images)

    def of(self, epoch: int) -> Array:
        """Images of `epoch`; starts to prepare those of the next epoch."""
        augment = self.job.recipe.augment
        if augment is None:
            return self.plain
        prefetch = partial(EpochPrefetcher, self.images, augment, seed=self.job.seed)
        images = (self.prefetcher or prefetch(epoch=epoch)).finish()
        self.prefetcher = prefetch(epoch=epoch + 1) if epoch < self.job.recipe.epochs else None
        return channel_first(images)

    def advance_to(self, fraction: float) -> None:
        """Prepare the next epoch's images up to the fraction of this epoch that has been trained on."""
        if self.prefetcher:
            self.prefetcher.advance_to(fraction)


def _memory_epoch(
    model: Model,
    batches: tuple[Array, Array, Array, Array, Array | None],
    epoch_images: _EpochImages,
    job: Job,
    epoch: int,
) -> Iterator[tuple[Array, Array]]:
    """All steps of an epoch, `log_interval` in a call; the first step of a run in a call of its own."""
    images, labels, order, rate, momentum = batches
    first_step = {1} if epoch == job.start_epoch + 1 else set()
    bounds = sorted({0, len(order), *range(job.log_interval, len(order), job.log_interval)} | first_step)
    for chunk in map(slice, bounds, bounds[1:]):
        chunk_momentum = None if momentum is None else momentum[chunk]
        yield model.train_steps(images, labels, order[chunk], rate[chunk], chunk_momentum)
        epoch_images.advance_to(chunk.stop / len(order))


def _train_epoch(
    chunks: Iterator[tuple[Array, Array]], rate: Array, job: Job, *, epoch: int, started_at: float
) -> Generator[Progress, None, Training]:
    """Collect, check and report the steps of an epoch: `chunks` yields losses and correct predictions of some
    steps at a time."""
    steps, batch_size = len(rate), job.recipe.batch_size
    losses, correct = np.empty(steps), np.empty(steps)
    done = reported = 0
    first_step_seconds, called_at = None, time.perf_counter()
    for chunk_losses, chunk_correct in chunks:
        if done == 0 and len(chunk_losses) == 1 and epoch == job.start_epoch + 1:
            first_step_seconds = time.perf_counter() - called_at
        start, done = done, done + len(chunk_losses)
        losses[start:done], correct[start:done] = chunk_losses, chunk_correct
        finite = np.isfinite(chunk_losses)
        if not finite.all():
            step = start + int(finite.argmin())
            raise Diverged(epoch, step + 1, float(losses[step]))
        if done % job.log_interval and done < steps:
            continue  # the first step alone is not representative of the speed
        yield Progress(
            epoch=epoch,
            step=done,
            steps=steps,
            loss=float(losses[reported:done].mean()),
            accuracy=100 * float(correct[reported:done].mean()) / batch_size,
            seconds=time.perf_counter() - started_at,
        )
        reported = done
    return Training(
        lr=float(rate[0]),
        loss=float(losses.mean()),
        accuracy=100 * float(correct.mean()) / batch_size,
        images=steps * batch_size,
        seconds=time.perf_counter() - started_at,
        first_step_seconds=first_step_seconds,
    )
