"""A model, a loader and a backend in NumPy that learn nothing and record their arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from common.data.datasets import Digits
from common.model.optimizer import Optimizer
from common.model.spec import ModelSpec
from common.training.backend import Execution

Array = np.ndarray[Any, Any]


class Recorder:
    """Predicts 9 for every image. Half of every batch counts as correct; the loss of a step, counted from 1,
    is that in `losses`, or 1. Step `interrupt_at` raises KeyboardInterrupt, as Ctrl-C does."""

    def __init__(self, losses: Mapping[int, float] | None = None, *, interrupt_at: int = 0) -> None:
        self.calls: list[tuple[Array, Array, Array, Array, Array | None]] = []
        self.losses = losses or {}
        self.interrupt_at = interrupt_at
        self.steps = 0

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        self.calls.append((images, labels, order, rate, momentum))
        numbers = range(self.steps + 1, self.steps + len(order) + 1)
        if self.interrupt_at in numbers:
            raise KeyboardInterrupt
        self.steps += len(order)
        losses = np.array([self.losses.get(step, 1.0) for step in numbers])
        return losses, np.full(len(order), order.shape[1] // 2)

    def predict(self, images: Array) -> Array:
        return np.tile(np.arange(10.0), (len(images), 1))

    def state_dict(self) -> dict[str, Array]:
        return {"steps": np.array(self.steps)}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        pass


class RecorderLoader:
    """A native loader that hands out the images in their order, and records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Array, Array | None, int]] = []

    def train_epoch(
        self,
        model: Recorder,
        digits: Digits,
        rate: Array,
        momentum: Array | None = None,
        *,
        batch_size: int,
        seed: int,
    ) -> Iterator[tuple[Array, Array]]:
        self.calls.append((rate, momentum, seed))
        order = np.arange(len(rate) * batch_size).reshape(len(rate), batch_size)
        yield model.train_steps(digits.images, digits.labels, order, rate, momentum)


class RecorderBackend:
    """Builds `model`; stands in for PyTorch where only the machinery around a framework is tested."""

    name = "pytorch"
    version = "0"
    numerics = ()
    device = "cpu"
    threads = 1
    model = Recorder()
    native_loader = RecorderLoader()

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        self.threads = threads

    def build(self, network: ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int) -> Recorder:
        return self.model
