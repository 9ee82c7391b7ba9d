"""Times of a network in one process: steps against a bare loop, their parts, options, prediction, kernels.

Arms that are compared are timed in turn, ROUNDS times, so that a machine that slows down slows all of them; a
measurement is the median. The learning rate is next to nothing, so the weights stay as they are.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from common.data.augment import augmented
from common.data.batches import channel_first, epoch_order, normalise
from common.data.datasets import Dataset, Digits
from common.model.layers import Conv, Dense
from common.model.spec import ModelSpec
from common.training.backend import Backend, Model, Stage
from common.training.job import Job
from common.training.loop import Progress, train
from common.training.run import build

ROUNDS = 5
ROUND_SECONDS = 2.0  # of training in each round of an arm
TURN_SECONDS = 0.3  # of steps before a bare loop has its turn
STEPS = 60  # at most, in a round of the parts
PRODUCT = 1024
PREDICTIONS = {1: 400, 100: 60, 10_000: 5}
STAGES: tuple[Stage, ...] = ("input", "forward", "backward", "bare")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The median of `rounds` measurements, with the lowest and the highest."""

    measure: str
    arm: str
    unit: str
    value: float
    low: float
    high: float
    rounds: int


def summarise(values: Sequence[float]) -> dict[str, Any]:
    """Median, lowest, highest and number of values, as a Measurement and a row of speed.csv have them."""
    middle = statistics.median(values)
    return {"value": middle, "low": min(values), "high": max(values), "rounds": len(values)}


def measurement(measure: str, arm: str, unit: str, values: Sequence[float]) -> Measurement:
    """The Measurement of `values`."""
    return Measurement(measure=measure, arm=arm, unit=unit, **summarise(values))


def profile(framework: Backend, dataset: Dataset, job: Job, *, whole: bool = False) -> Iterator[Measurement]:
    """All measurements of the network of `job`; with --compile those of its options; if `whole` only those of
    whole epochs and a bare loop."""
    job = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, lr=1e-9), start_epoch=0)
    if job.execution.compiled:
        yield from _options(framework, dataset.train, job)
        return
    model = build(framework, job)
    yield from _overhead(framework, model, dataset, job)
    if whole:
        return
    yield from _preparation(dataset.train, job)
    yield from _parts(framework, model, dataset.train, job)
    yield from _prediction(model, dataset, job)
    yield from _kernels(framework, model, dataset.train, job)


def operations(spec: ModelSpec, batch_size: int) -> float:
    """Floating-point operations of a training step in convolutions and dense layers.

    Two for a multiply-add: forward, for the weights, and for the inputs of all layers but the first, whose
    inputs need no gradient.
    """
    counts = [node.multiply_adds for node in spec.leaves() if isinstance(node.layer, Conv | Dense)]
    return 2.0 * batch_size * (3 * sum(counts) - counts[0])


def _overhead(framework: Backend, model: Model, dataset: Dataset, job: Job) -> Iterator[Measurement]:
    """Milliseconds of a step in an epoch and in a bare loop, and their ratio.

    The epoch is as a run trains it, with the next one's images augmented meanwhile; the bare loop takes as
    many steps on one batch. They take turns several times a second.
    """
    batch_size = job.recipe.batch_size
    images, labels, order = _inputs(dataset.train, batch_size)
    partial_steps = partial(framework.instruments.partial_steps, model)
    probe = partial_steps(images, labels, order[:5], until="bare")
    probe()
    step = _seconds(probe) / 5
    steps = int(np.clip(ROUND_SECONDS / step, 20, len(order)))
    turn = int(np.clip(TURN_SECONDS / step, 10, job.log_interval))
    steps -= steps % min(turn, steps)
    few = dataclasses.replace(
        dataset,
        train=dataset.train[: steps * batch_size],
        test=dataset.test[:10],
    )
    bare = partial_steps(images, labels, order[:turn], until="bare")
    rounds = int(np.clip(ROUNDS * ROUND_SECONDS / (steps * step), ROUNDS, 5 * ROUNDS))
    # The first epoch, which also augments its own images, and the last, which augments none, are not counted.
    recipe = dataclasses.replace(job.recipe, epochs=rounds + 2)
    timed = dataclasses.replace(job, recipe=recipe, schedule_epochs=recipe.epochs, log_interval=turn)
    epochs, bare_loops = [], []
    bare()
    bare_seconds = 0.0
    for event in train(model, few, timed):
        if isinstance(event, Progress):
            bare_seconds += _seconds(bare)
        elif event.training:
            # The clock of an epoch runs on while the other loop has its turns.
            epochs.append(event.training.seconds - bare_seconds)
            bare_loops.append(bare_seconds)
            bare_seconds = 0.0
    epochs, bare_loops = epochs[1:-1], bare_loops[1:-1]
    yield measurement("step", "epoch", "ms", [1000 * value / steps for value in epochs])
    yield measurement("step", "bare loop", "ms", [1000 * value / steps for value in bare_loops])
    yield measurement(
        "overhead", "epoch", "ratio", [epoch / loop for epoch, loop in zip(epochs, bare_loops, strict=True)]
    )


def _preparation(digits: Digits, job: Job) -> Iterator[Measurement]:
    """Seconds of one core to augment the images of an epoch."""
    augment = job.recipe.augment
    if augment:
        prepare = partial(augmented, digits.images, augment, seed=job.seed)
        seconds = [_seconds(partial(prepare, epoch=epoch)) for epoch in range(1, ROUNDS + 1)]
        yield measurement("preparation", "augmentation", "s", seconds)


def _parts(framework: Backend, model: Model, digits: Digits, job: Job) -> Iterator[Measurement]:
    """Milliseconds of each part of a step, and GFLOP/s of the whole step and of a matrix product."""
    images, labels, order = _inputs(digits, job.recipe.batch_size)
    partial_steps = partial(framework.instruments.partial_steps, model)
    step = _seconds(partial_steps(images, labels, order[:10], until="bare")) / 10
    order = order[: int(np.clip(ROUND_SECONDS / 2 / step, 10, STEPS))]
    rate = np.full(len(order), job.recipe.lr)
    arms: dict[str, Callable[[], object]] = {
        stage: partial_steps(images, labels, order, until=stage) for stage in STAGES
    }
    arms["whole"] = lambda: model.train_steps(images, labels, order, rate)
    product = framework.instruments.product(PRODUCT, precision=job.execution.precision)
    arms["product"] = lambda: [product() for _ in range(10)]
    seconds = _in_turn(arms)
    per_step = {
        name: [1000 * value / len(order) for value in values]
        for name, values in seconds.items()
        if name != "product"
    }
    for name, values in parts(per_step).items():
        yield measurement("part", name, "ms", values)
    work = operations(job.spec, job.recipe.batch_size)
    yield measurement("gflops", "training", "GFLOP/s", [work / value / 1e6 for value in per_step["whole"]])
    yield measurement(
        "gflops", "product", "GFLOP/s", [20 * PRODUCT**3 / value / 1e9 for value in seconds["product"]]
    )


def parts(per_step: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Milliseconds of input, forward, backward, optimizer and rest in each round.

    Each stage is timed with all before it, so a part is a difference; `bare` has no input, `whole` has all.
    """
    columns = zip(*(per_step[name] for name in (*STAGES, "whole")), strict=True)
    rows = [
        (gather, forward - gather, backward - forward, bare - (backward - gather), whole - bare - gather)
        for gather, forward, backward, bare, whole in columns
    ]
    names = ("input", "forward", "backward", "optimizer", "rest")
    return {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _options(framework: Backend, digits: Digits, job: Job) -> Iterator[Measurement]:
    """Milliseconds of a step by default, compiled, and in bfloat16; seconds of the first step of each."""
    images, labels, order = _inputs(digits, job.recipe.batch_size)
    executions = {
        "default": dataclasses.replace(job.execution, compiled=False),
        "compile": job.execution,
        "bfloat16": dataclasses.replace(job.execution, compiled=False, precision="bfloat16"),
    }
    arms: dict[str, Callable[[], object]] = {}
    steps: dict[str, int] = {}  # few of a slow arm: XLA takes up to a second for a step of convolutions
    for name, execution in executions.items():
        model = build(framework, dataclasses.replace(job, execution=execution))

        def run(count: int, model: Model = model) -> None:
            model.train_steps(images, labels, order[:count], np.zeros(count))

        yield measurement("first step", name, "s", [_seconds(partial(run, 1))])
        few = min(5, len(order))  # of small data an epoch has few steps
        each = _seconds(partial(run, few)) / few
        steps[name] = min(len(order), int(np.clip(ROUND_SECONDS / 4 / each, 3, STEPS)))
        arms[name] = partial(run, steps[name])
    for name, values in _in_turn(arms).items():
        yield measurement("option", name, "ms", [1000 * value / steps[name] for value in values])


def _prediction(model: Model, dataset: Dataset, job: Job) -> Iterator[Measurement]:
    """Images per second and latency of `predict` at batch sizes of which there are so many images."""
    pixels = job.recipe.preprocess(dataset.test.images)
    images = normalise(pixels, job.execution.scaling, dtype=job.input_dtype)
    for batch_size, calls in PREDICTIONS.items():
        if batch_size > len(images):
            break
        batch = images[:batch_size]
        for _ in range(3):
            model.predict(batch)
        seconds = [_seconds(partial(model.predict, batch)) for _ in range(calls)]
        arm = f"batch {batch_size}"
        yield measurement("predict", arm, "images/s", [len(batch) / value for value in seconds])
        for name, share in (("p50", 50), ("p99", 99)):
            latency = 1000 * float(np.percentile(seconds, share))
            yield dataclasses.replace(
                measurement(f"predict {name}", arm, "ms", [latency]), rounds=calls, high=1000 * max(seconds)
            )


def _kernels(framework: Backend, model: Model, digits: Digits, job: Job) -> Iterator[Measurement]:
    """Milliseconds per step of the ten slowest kernels, by the framework's own profiler."""
    images, labels, order = _inputs(digits, job.recipe.batch_size)
    order = order[:20]
    seconds = framework.instruments.kernels(model, images, labels, order)
    for name in sorted(seconds, key=lambda name: -seconds[name])[:10]:
        yield measurement("kernel", name, "ms", [1000 * seconds[name] / len(order)])


def _inputs(digits: Digits, batch_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, channels, H, W), labels (N,) and an order (steps, batch) of an epoch."""
    order = epoch_order(len(digits), batch_size=batch_size, seed=1, epoch=1)
    return channel_first(digits.images), digits.labels.astype(np.int64), order


def _in_turn(arms: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each arm in each round, after one round that is not counted."""
    rounds: dict[str, list[float]] = {name: [] for name in arms}
    for counted in [False, *[True] * ROUNDS]:
        for name, arm in arms.items():
            seconds = _seconds(arm)
            if counted:
                rounds[name].append(seconds)
    return rounds


def _seconds(call: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    call()
    return time.perf_counter() - started_at
