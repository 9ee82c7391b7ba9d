"""Requests of common.port to a PyTorch model; the same verbs as backends/tensorflow/port/session.py."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from backends.pytorch.port import losses
from backends.pytorch.port.trace import Tracer
from common import user_file
from common.messages import InputError, last_line

Array = NDArray[Any]
Arrays = dict[str, Array]
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


class Session:
    """One model at a time: `load` replaces it. Every verb leaves weights and statistics as they were, but
    `write`, and `gradients` with `keep`."""

    model: nn.Module
    tracer: Tracer
    inputs: torch.Tensor
    dtype: torch.dtype
    own_loss: Any
    own_optimizer: Any

    def verbs(self) -> dict[str, Callable[..., Any]]:
        """The methods that answer requests, by name."""
        names = (
            *("load", "batch", "read", "write", "mend", "trace", "statistics", "loss", "gradients"),
            *("optimizer", "optimize", "train", "versions"),
        )
        return {name: getattr(self, name) for name in names}

    def versions(self) -> dict[str, str]:
        """Versions of the libraries."""
        return {"torch": str(torch.__version__)}

    def load(
        self, address: str, *, precision: str, seed: int, weights_file: str | None = None
    ) -> dict[str, Any]:
        """Build the model at FILE.py:NAME in a precision, from a seed, with the weights of a file."""
        path, name = user_file.split_address(address)
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self.dtype = PRECISIONS[precision]
        torch.set_default_dtype(torch.float32)  # in which users' weights are drawn
        module = user_file.load(path)
        model = user_file.call(module, name, path)
        if not isinstance(model, nn.Module):
            raise InputError(f"{address} returns {_article(model)}, not an nn.Module.")
        self.name = path.name
        self.path = path
        if weights_file:
            _load_weights(model, Path(weights_file))
        self.model = model.to(self.dtype).eval()
        torch.set_default_dtype(self.dtype)  # of what its forward pass makes
        self.own_loss = getattr(module, "loss", None)
        self.own_optimizer = getattr(module, "optimizer", None)
        self.tracer = Tracer()
        self.tracer.attach(self.model)
        self.skipped: list[int] = []
        self.heads: list[int] = []
        self.frozen: set[str] = set()
        shape = getattr(module, "input_shape", None)
        return {
            "input_shape": None if shape is None else list(shape),
            "loss": self.own_loss is not None,
            "optimizer": self.own_optimizer is not None,
        }

    def batch(self, x: Array) -> None:
        """Set the inputs, with the channels first, or last where the model accepts only that; of examples
        with two axes, which may have no channels, the other way round.

        Raises InputError where it accepts neither.
        """
        reasons = []
        forms = [x, np.moveaxis(x, 1, -1)] if x.ndim > 2 else [x]
        for images in reversed(forms) if x.ndim == 3 else forms:
            self.inputs = torch.from_numpy(np.ascontiguousarray(images)).to(
                self.dtype if np.issubdtype(images.dtype, np.floating) else torch.int64
            )
            try:
                with torch.no_grad():
                    self.model(self.inputs)
                return
            except Exception as error:
                reasons.append(f"{last_line(error)}")
        raise InputError(f"The batch {list(x.shape)} does not fit {self.name}: {reasons[0]}.")

    def read(self) -> Arrays:
        """All arrays of the state by name, scalars left out."""
        state = self.model.state_dict()
        return {name: tensor.numpy(force=True) for name, tensor in state.items() if tensor.ndim}

    def write(self, arrays: Mapping[str, Array], *, frozen: Sequence[str] | None = None) -> None:
        """Set arrays of the state by name; the `frozen` ones are not trained any more."""
        state = self.model.state_dict()
        with torch.no_grad():
            for name, array in arrays.items():
                state[name].copy_(torch.from_numpy(np.array(array)))
        if frozen is not None:
            self.frozen = set(frozen)

    def mend(self, *, skipped: Sequence[int] = (), heads: Sequence[int] = ()) -> None:
        """Compute as the other side does from now on: `skipped` are operations that become the identity, and
        `heads` those that do but for the user's own loss."""
        self.skipped, self.heads = list(skipped), list(heads)

    def trace(self, *, ulp: int | None = None) -> Any:
        """The operations in order, and the outputs; with `ulp` from weights and inputs moved by one unit."""
        with self._kept(), self._moved(ulp), torch.no_grad(), self._recording(dropout_off=False):
            outputs = self.model(self.inputs)
        operations = []
        for index, operation in enumerate(self.tracer.operations):
            layer = operation.layer
            own = dict(self.model.get_submodule(layer).state_dict()) if layer else {}
            operations.append(
                {
                    "index": index,
                    "name": operation.name,
                    "layer": layer,
                    "kind": operation.kind,
                    "attributes": operation.attributes,
                    "weights": {name: list(array.shape) for name, array in own.items() if array.ndim},
                    "inputs": operation.inputs.numpy(),
                    "outputs": operation.outputs.numpy(),
                }
            )
        return {"operations": operations, "outputs": [tensor.numpy() for tensor in _tensors(outputs)]}

    def statistics(self, *, ulp: int | None = None) -> Arrays:
        """All buffers after one batch in training mode without dropout."""
        with self._kept(), self._moved(ulp, shuffled=True), torch.no_grad():
            self.model.train()
            with self._recording(dropout_off=True):
                self.model(self.inputs)
            return {name: buffer.numpy().copy() for name, buffer in self.model.named_buffers() if buffer.ndim}

    def loss(self, outputs: Array, labels: Array) -> float | Array:
        """The user's own loss of given outputs, an array if it is no single number."""
        with torch.no_grad():
            value = self.own_loss(torch.from_numpy(outputs).to(self.dtype), self._labels(labels))
        return float(value) if value.ndim == 0 else value.numpy()

    def gradients(
        self,
        labels: Array,
        *,
        standard: Mapping[str, Any] | None = None,
        ulp: int | None = None,
        keep: bool = False,
    ) -> dict[str, Any]:
        """Loss and gradients in training mode without dropout, by the user's loss or a `standard` one."""
        with contextlib.nullcontext() if keep else self._kept(), self._moved(ulp, shuffled=True) as order:
            self.model.train()
            value = self._backward(self._labels(labels[order]), standard)
            trained = self._trained()
            found = {name: p.grad for name, p in trained.items()}
        gradients = {name: g.numpy().copy() for name, g in found.items() if g is not None}
        return {"loss": value, "gradients": gradients}

    def optimizer(self) -> dict[str, Any]:
        """The user's optimizer: its class and those above it, and the settings of its first group."""
        optimizer = self._optimizer()
        group = optimizer.param_groups[0].items()
        return {
            "classes": [kind.__name__ for kind in type(optimizer).__mro__],
            "settings": {name: value for name, value in group if name != "params" and _plain(value)},
        }

    def optimize(self, gradients: Sequence[Mapping[str, Array]], factors: Sequence[float]) -> list[Arrays]:
        """The trained weights after each step on given gradients, at the optimizer's rate times a factor."""
        after = []
        with self._kept():
            optimizer, rates = self._with_rates()
            trained = {name: p for name, p in self._trained().items() if name in gradients[0]}
            for step, factor in zip(gradients, factors, strict=True):
                for name, parameter in trained.items():
                    parameter.grad = torch.from_numpy(np.array(step[name])).to(self.dtype)
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
                optimizer.step()
                after.append({name: p.numpy(force=True).copy() for name, p in trained.items()})
        return after

    def train(
        self,
        labels: Array,
        factors: Sequence[float],
        *,
        standard: Mapping[str, Any] | None = None,
        ulp: int | None = None,
    ) -> dict[str, Any]:
        """Losses and the state after steps of the user's optimizer, without dropout."""
        values = []
        with self._kept(), self._moved(ulp, shuffled=True) as order:
            self.model.train()
            optimizer, rates = self._with_rates()
            targets = self._labels(labels[order])
            for factor in factors:
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
                values.append(self._backward(targets, standard))
                optimizer.step()
            return {"losses": values, "weights": {n: a.copy() for n, a in self.read().items()}}

    def _optimizer(self) -> torch.optim.Optimizer:
        try:
            optimizer = self.own_optimizer(list(self._trained().values()))
        except Exception as error:
            raise InputError(f"{self.path}:optimizer raised {user_file.raised(error, self.path)}.") from error
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise InputError(f"{self.path}:optimizer returns {_article(optimizer)}, not an Optimizer.")
        return optimizer

    def _with_rates(self) -> tuple[torch.optim.Optimizer, list[float]]:
        optimizer = self._optimizer()
        return optimizer, [float(group["lr"]) for group in optimizer.param_groups]

    def _trained(self) -> dict[str, nn.Parameter]:
        items = self.model.named_parameters()
        return {name: p for name, p in items if p.requires_grad and name not in self.frozen}

    def _labels(self, labels: Array) -> torch.Tensor:
        kind = self.dtype if np.issubdtype(labels.dtype, np.floating) else torch.int64
        return torch.from_numpy(np.array(labels)).to(kind)

    def _backward(self, labels: torch.Tensor, standard: Mapping[str, Any] | None) -> float:
        self.model.zero_grad(set_to_none=True)
        skipped = [*self.skipped, *self.heads] if standard else self.skipped
        with self.tracer.recording(skipped=skipped, dropout_off=True):
            outputs = self.model(self.inputs)
        if standard is None:
            value = self.own_loss(outputs, labels)
        else:
            value = losses.standard(_tensors(outputs)[0], labels, **standard)
        value.backward()
        return float(value)

    def _recording(self, *, dropout_off: bool) -> Any:
        return self.tracer.recording(skipped=[*self.skipped, *self.heads], dropout_off=dropout_off)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Restore the state and the mode after the block."""
        state = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        try:
            yield
        finally:
            self.model.load_state_dict(state)
            self.model.eval()

    @contextlib.contextmanager
    def _moved(self, seed: int | None, *, shuffled: bool = False) -> Iterator[Array]:
        """Move every weight and input by one unit in the last place; the caller restores the weights.

        With `shuffled` the examples are in another order, which their sums over a batch then are too. Yields
        the order of the examples.
        """
        inputs, order = self.inputs, np.arange(len(self.inputs))
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for parameter in self.model.parameters():
                    parameter.copy_(_one_ulp(parameter, generator))
            if shuffled:
                order = np.random.default_rng(seed).permutation(len(order))
            self.inputs = _one_ulp(inputs[torch.from_numpy(order)], generator)
        try:
            yield order
        finally:
            self.inputs = inputs


def _one_ulp(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The neighbouring floating-point number above or below each value; zeros and integers stay."""
    if not tensor.is_floating_point():
        return tensor
    above = torch.rand(tensor.shape, generator=generator) < 0.5
    infinity = torch.where(above, torch.inf, -torch.inf).to(tensor.dtype)
    return torch.where(tensor == 0, tensor, torch.nextafter(tensor, infinity))


def _tensors(outputs: Any) -> list[torch.Tensor]:
    """The tensors of a model's outputs, in order; those of a dict by name, as tf.nest has them."""
    if isinstance(outputs, torch.Tensor):
        return [outputs.detach() if not outputs.requires_grad else outputs]
    values = [outputs[name] for name in sorted(outputs)] if isinstance(outputs, Mapping) else outputs
    return [tensor for value in values for tensor in _tensors(value)]


def _plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str | tuple | list | None)


def _article(value: object) -> str:
    return f"an object of class {type(value).__name__}"


def _load_weights(model: nn.Module, path: Path) -> None:
    """Load a state_dict of tensors, or a safetensors file. Raises InputError."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is no state_dict of tensors: it holds other objects, which are not loaded, as they "
            "could run code; torch.save(model.state_dict(), FILE) makes one."
        ) from error
    except Exception as error:
        raise InputError(f"{path} is no state_dict of tensors: {last_line(error)[:200]}.") from error
    if not isinstance(state, Mapping) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise InputError(f"{path} is no state_dict of tensors: it has {_article(state)}.")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit the model: {last_line(error)}.") from error
