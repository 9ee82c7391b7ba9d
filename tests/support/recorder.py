"""A model and a backend in NumPy that learn nothing, and remember what they were given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from common.model.optimizer import Optimizer
from common.model.spec import ModelSpec
from common.training.backend import Execution

Array = np.ndarray[Any, Any]


class Recorder:
    """Half of every batch is right; the loss is 1, or what `losses` says for a step (from 1). Always says 9.

    At step `interrupt_at` Ctrl-C is pressed.
    """

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

    def train_epoch(self, *_: Any, **__: Any) -> Iterator[tuple[Array, Array]]:
        raise AssertionError("this model has no loader of its own")

    def predict(self, images: Array) -> Array:
        return np.tile(np.arange(10.0), (len(images), 1))

    def state_dict(self) -> dict[str, Array]:
        return {"steps": np.array(self.steps)}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        pass


class RecorderBackend:
    """Builds `model`; stands in for PyTorch where only the machinery around a framework is tested."""

    name = "pytorch"
    version = "0"
    device = "cpu"
    threads = 1
    model = Recorder()

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        self.threads = threads

    def build(self, network: ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int) -> Recorder:
        return self.model
