"""The interface a framework implements. NumPy goes in and out; only what a framework is best at stays inside.

Canonical names and layouts (see `common.spec`) hold on this side of the interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.optimizer import Optimizer
from common.spec import ModelSpec

Array = NDArray[Any]
Precision = Literal["float32", "bfloat16", "float64"]
Native = frozenset[str]  # of NATIVE_PARTS: what is left to the framework's own defaults
NATIVE_PARTS = ("init", "norm", "optimizer")


class Model(Protocol):
    """A network with its optimizer, on the device."""

    def train_steps(
        self,
        images: Array,
        labels: Array,
        order: NDArray[np.int64],
        rate: NDArray[np.float64],
        momentum: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Take len(order) optimizer steps on cross-entropy; step i trains on images[order[i]].

        images (N, 1, 28, 28) floats, labels (N,) int64: kept on the device while the same arrays are passed.
        order (steps, batch); rate and momentum (steps,). Returns each step's mean loss in nats and its number
        of correct predictions, both (steps,), as seen while training. The device is idle on return.
        """
        ...

    def predict(self, images: Array) -> NDArray[np.float32] | NDArray[np.float64]:
        """Logits (N, outputs) of images (N, 1, 28, 28), in inference mode."""
        ...

    def state_dict(self) -> dict[str, Array]:
        """Weights and statistics by canonical name, `optimizer.step`, `optimizer.SLOT.WEIGHT`, and
        `random.FRAMEWORK...`: what training needs to go on as if it had not stopped."""
        ...

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over weights and statistics, and the rest where `state` has it."""
        ...


class Backend(Protocol):
    """A framework, set up for one process."""

    name: str
    version: str
    device: str  # "cpu", or the accelerator's kind and name
    threads: int  # of one operation, as read back from the framework

    def __init__(self, *, accelerate: bool, threads: int) -> None: ...

    def build(
        self, spec: ModelSpec, optimizer: Optimizer, *, precision: Precision, native: Native, seed: int
    ) -> Model:
        """A model of `spec`; `seed` is for what the framework draws itself (dropout, native init)."""
        ...
