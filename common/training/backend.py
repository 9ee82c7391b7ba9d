"""The interface that a framework implements. NumPy arrays go in and out.

Canonical names and layouts (see `common.model.layers`) hold on this side of the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.batches import Scaling
from common.data.datasets import Digits
from common.model.optimizer import Optimizer
from common.model.spec import ModelSpec
from common.training.distributed import World
from common.training.numerics import Change

Array = NDArray[Any]
Precision = Literal["float32", "bfloat16", "float64"]
Native = frozenset[str]  # of NATIVE_PARTS: the parts that are left to the framework's own defaults
NATIVE_PARTS = ("init", "norm", "optimizer")
Stage = Literal["input", "forward", "backward", "bare"]


class Unavailable(Exception):
    """This machine cannot do what the command line requires; the message is for the user."""


class PeerLost(Exception):
    """Another process of this run has ended; the message is the framework's."""


@dataclass(frozen=True, kw_only=True)
class LoaderOptions:
    """Options of a framework's own loader (`--loader native`)."""

    num_workers: int = 0
    pin_memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Settings of a run apart from the network and its recipe.

    `native` names the parts left to the framework's own defaults. `compiled` turns on torch.compile or XLA.
    `scaling` is applied to all images that are bytes, `label_smoothing` to the loss (see
    `common.model.recipe`). With `loader` the model is built as the framework's users build it, without what
    makes `train_steps` quick. With `masks`, a seed, dropout uses the masks of
    `common.training.dropout_masks`, instead of drawing its own. `world` is the place of this process among
    those of the run.
    """

    precision: Precision = "float32"
    native: Native = frozenset()
    compiled: bool = False
    scaling: Scaling = Scaling()
    loader: LoaderOptions | None = None
    masks: int | None = None
    label_smoothing: float = 0.0
    world: World = World()


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
        """Run len(order) optimizer steps on cross-entropy; step i trains on images[order[i]].

        images (N, channels, H, W) as bytes, which each step scales by `Execution.scaling`, or as floats,
        which are used as they are; labels (N,) int64. Both stay on the device while the same arrays are
        passed. order (steps, batch); rate and momentum (steps,). Returns each step's mean loss in nats and
        its number of correct predictions, both (steps,), as seen while training. The device is idle on
        return. Where several processes share each batch, each is passed the whole `order` and returns the
        figures of the whole batch. Raises PeerLost.
        """
        ...

    def predict(self, images: Array) -> NDArray[np.float32] | NDArray[np.float64]:
        """Logits (N, outputs) of images (N, channels, H, W), floats, in inference mode."""
        ...

    def state_dict(self) -> dict[str, Array]:
        """All that training needs to continue as if it had not stopped.

        Weights and statistics by canonical name, `optimizer.step`, `optimizer.SLOT.WEIGHT`, and
        `random.FRAMEWORK...`.
        """
        ...

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Set weights and statistics, and the other entries of `state_dict` that `state` has."""
        ...


class DefaultsProbe(Protocol):
    """A framework's own parts with their defaults, for `common.cli.framework_defaults`.

    `optimizers` are SGD, Adam and Adadelta. `threads_program` is Python that prints how many threads the
    framework uses in a process of its own.
    """

    @property
    def versions(self) -> str: ...
    @property
    def optimizers(self) -> tuple[type, ...]: ...
    @property
    def batch_norm(self) -> type: ...
    @property
    def channel_dropout(self) -> type: ...
    @property
    def threads_program(self) -> str: ...

    def compiles_by_default(self) -> bool:
        """Whether a network is compiled by default."""
        ...

    def initial_dense(self, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """Initial kernel and bias of a dense layer."""
        ...

    def batch_norm_statistics(self, batch: Array) -> tuple[float, float]:
        """Running mean and variance of a new BatchNorm after one training batch (N,) of one feature."""
        ...

    def batch_norm_parameters(self, channels: int) -> int:
        """Number of parameters of a BatchNorm, as the framework counts them."""
        ...

    def convolution(self, images: Array, channels: int, *, stride: int = 1, padding: str = "valid") -> Array:
        """Images, in the framework's layout, after a 3 x 3 convolution with a kernel of ones.

        Raises ValueError for a combination that the framework refuses.
        """
        ...

    def optimizer_trajectory(
        self,
        optimizer: type,
        weight: float,
        gradients: Sequence[float],
        rates: Sequence[float],
        **constants: float,
    ) -> list[float]:
        """The value of one weight after each step of an optimizer with these gradients and learning rates."""
        ...

    def loader_batches(self, count: int) -> list[list[int]]:
        """The batches in which the usual loader returns the examples 0 to count - 1."""
        ...


class NativeLoader(Protocol):
    """A framework's own loader and usual training loop (`--loader native`)."""

    def train_epoch(
        self,
        model: Any,
        digits: Digits,
        rate: NDArray[np.float64],
        momentum: NDArray[np.float64] | None = None,
        *,
        batch_size: int,
        seed: int,
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Train `model`, built with `Execution.loader`, len(rate) steps; `seed` is of the loader's order.

        Yields losses and numbers of correct predictions of some steps at a time, as train_steps returns
        them; a framework that reports only the epoch's mean returns it for every step.
        """
        ...


class Instruments(Protocol):
    """Measurements of a framework, for `common.cli.profile`; `model` is one that its backend built."""

    def partial_steps(
        self, model: Any, images: Array, labels: Array, order: NDArray[np.int64], *, until: Stage
    ) -> Callable[[], None]:
        """A function that does len(order) times the part of a training step up to a stage.

        "input" gathers each batch, "forward" goes on to its loss, "backward" to the gradients. "bare" takes
        whole steps on one batch, order[0], and does nothing else. Images and labels as in train_steps.
        """
        ...

    def kernels(self, model: Any, images: Array, labels: Array, order: NDArray[np.int64]) -> dict[str, float]:
        """Seconds that len(order) training steps at rate 0 spend in each kernel, by the framework's own
        profiler. Kernels that run at the same time are counted in full."""
        ...

    def product(self, size: int, *, precision: Precision) -> Callable[[], None]:
        """A function that multiplies two square matrices of `size`: the framework at its best."""
        ...


class Backend(Protocol):
    """A framework, set up for one process."""

    name: str
    version: str
    numerics: tuple[Change, ...]  # of its arithmetic
    device: str  # "cpu", or the accelerator's kind and name
    threads: int  # of one operation, as read back from the framework

    @property
    def defaults(self) -> DefaultsProbe: ...
    @property
    def instruments(self) -> Instruments: ...
    @property
    def native_loader(self) -> NativeLoader: ...
    @property
    def mistakes(self) -> Mapping[str, Callable[[Any, ModelSpec], None]]:
        """Functions that plant a mistake at home in the framework in a new model, by its name."""
        ...

    def __init__(self, *, accelerate: bool, threads: int) -> None: ...

    def build(self, network: ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int) -> Model:
        """A model of `network`; `seed` is for what the framework draws itself (dropout, native init).

        Raises Unavailable where this machine cannot do what `execution` requires.
        """
        ...
