"""PyTorch: a backend and a script. `python pytorch.py --help`.

The networks are described in common/zoo.py; here is how PyTorch builds, trains and saves one.
"""

from __future__ import annotations

from common.cli import main, parse_arguments

# --help and wrong flags are answered before the seconds that importing a framework takes.
arguments = parse_arguments("pytorch") if __name__ == "__main__" else None

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.backend import Native, Precision
from common.optimizer import SGD, Adadelta, Adam, Optimizer, slots
from common.spec import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    ModelSpec,
    Node,
    SpatialDropout,
)

Array = NDArray[Any]


class GlobalAveragePool(nn.Module):
    """Mean over height and width; PyTorch has no layer that also drops the two dimensions."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


def layer(node: Node, native: Native) -> nn.Module:
    """The PyTorch layer of one node of a network. PyTorch's own BatchNorm is what `norm` is pinned to."""
    into = node.input_shape[0]
    match node.layer:
        case Conv(out_channels, kernel_size, padding, stride, groups, bias):
            return nn.Conv2d(
                into, out_channels, kernel_size, stride=stride, padding=padding, groups=groups, bias=bias
            )
        case BatchNorm(eps, momentum):
            if "norm" in native:
                return nn.BatchNorm2d(into)
            return nn.BatchNorm2d(into, eps=eps, momentum=momentum)
        case Activation():
            return nn.ReLU()
        case MaxPool(kernel_size):
            return nn.MaxPool2d(kernel_size)
        case GlobalAvgPool():
            return GlobalAveragePool()
        case Flatten():
            return nn.Flatten()
        case Dense(out_features, bias):
            return nn.Linear(into, out_features, bias=bias)
        case Dropout(rate):
            return nn.Dropout(rate)
        case SpatialDropout(rate):
            return nn.Dropout2d(rate)
        case _:
            assert_never(node.layer)


def update_rule(optimizer: Optimizer, parameters: Any, native: Native) -> torch.optim.Optimizer:
    """The PyTorch optimizer; its learning rate is set before each step. `native` leaves its constants alone.

    Fused where there is such a kernel: one call for all weights.
    """
    ours = "optimizer" not in native
    match optimizer:
        case SGD(momentum, nesterov):
            return torch.optim.SGD(parameters, lr=0.0, momentum=momentum, nesterov=nesterov, fused=True)
        case Adam(beta1, beta2, eps):
            constants: dict[str, Any] = {"betas": (beta1, beta2), "eps": eps} if ours else {}
            return torch.optim.Adam(parameters, lr=0.0, fused=True, **constants)
        case Adadelta(rho, eps):
            constants = {"rho": rho, "eps": eps} if ours else {}
            return torch.optim.Adadelta(parameters, lr=0.0, **constants)
        case _:
            assert_never(optimizer)


def layout(spec: ModelSpec) -> torch.memory_format:
    """Memory format of a network's weights and images, by what was measured on two cores of a CPU.

    Channels last is what oneDNN convolves in: a step of under-8k takes 30 ms instead of 46. But there PyTorch
    normalises few channels slowly: a step of under-5k, whose narrowest has 4, takes 16.5 ms instead of 10.3.
    """
    normalised = [node.input_shape[0] for node in spec.nodes() if isinstance(node.layer, BatchNorm)]
    return torch.channels_last if min(normalised, default=16) >= 16 else torch.contiguous_format


class TorchModel:
    """A network and its optimizer on one device (`common.backend.Model`)."""

    def __init__(
        self,
        spec: ModelSpec,
        optimizer: Optimizer,
        *,
        device: torch.device,
        precision: Precision,
        native: Native,
    ) -> None:
        self.device = device
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
        self.module = nn.Sequential(OrderedDict((node.name, layer(node, native)) for node in spec.nodes()))
        self.layout = layout(spec)
        self.module.to(device, self.dtype).to(memory_format=self.layout)
        self.optimizer = update_rule(optimizer, self.module.parameters(), native)
        self.slots = slots(optimizer)
        self.steps = 0
        self.resident: tuple[Array, Array, torch.Tensor, torch.Tensor] | None = None

    def train_steps(
        self,
        images: Array,
        labels: Array,
        order: NDArray[np.int64],
        rate: NDArray[np.float64],
        momentum: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """See common.backend.Model."""
        inputs, targets = self._on_device(images, labels)
        batches = torch.from_numpy(order).to(self.device)
        group = self.optimizer.param_groups[0]
        losses, outputs = [], []
        self.module.train()
        for step, batch in enumerate(batches):
            group["lr"] = float(rate[step])
            if momentum is not None:
                group["momentum"] = float(momentum[step])
            self.optimizer.zero_grad()
            with self.autocast:
                logits = self.module(inputs[batch])
                loss = nn.functional.cross_entropy(logits, targets[batch])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
            outputs.append(logits.detach())
        self.steps += len(order)
        # Counted once for all steps: small operations one by one would cost as much as a small network.
        correct = (torch.stack(outputs).argmax(dim=2) == targets[batches]).sum(dim=1)
        return torch.stack(losses).double().cpu().numpy(), correct.cpu().numpy()

    @torch.inference_mode()
    def predict(self, images: Array) -> Array:
        """See common.backend.Model."""
        self.module.eval()
        with self.autocast:
            logits = self.module(torch.from_numpy(images).to(self.device, memory_format=self.layout))
        return logits.to(self.dtype).cpu().numpy()

    def state_dict(self) -> dict[str, Array]:
        """See common.backend.Model."""
        state = {name: tensor for name, tensor in self.module.state_dict().items() if tensor.ndim}
        for name, weight in self.module.named_parameters():
            kept = self.optimizer.state[weight]
            for slot in self.slots:
                state[f"optimizer.{slot}.{name}"] = kept.get(slot, torch.zeros_like(weight))
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}
        return arrays | {
            "optimizer.step": np.array(self.steps, np.int64),
            "random.pytorch": torch.get_rng_state().numpy(),
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """See common.backend.Model."""
        for name, tensor in self.module.state_dict().items():
            if tensor.ndim:  # BatchNorm's count of batches is not used
                tensor.copy_(torch.from_numpy(np.array(state[name])))
        if "optimizer.step" not in state:
            return
        self.steps = int(state["optimizer.step"])
        for name, weight in self.module.named_parameters():
            kept = {"step": torch.tensor(float(self.steps), device=self.device)}
            for slot in self.slots:
                saved = torch.from_numpy(np.array(state[f"optimizer.{slot}.{name}"]))
                kept[slot] = torch.empty_like(weight).copy_(saved)
            self.optimizer.state[weight] = kept
        if "random.pytorch" in state:
            torch.set_rng_state(torch.from_numpy(np.array(state["random.pytorch"])))

    def _on_device(self, images: Array, labels: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """The training data as tensors: moved once, and again only when other arrays are passed."""
        if self.resident is None or self.resident[0] is not images or self.resident[1] is not labels:
            inputs = torch.from_numpy(images).to(self.device, memory_format=self.layout)
            self.resident = (images, labels, inputs, torch.from_numpy(labels).to(self.device))
        return self.resident[2], self.resident[3]


class PyTorch:
    """PyTorch in this process (`common.backend.Backend`)."""

    name = "pytorch"
    version = str(torch.__version__)

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        found = torch.accelerator.current_accelerator(check_available=True) if accelerate else None
        self.place = found or torch.device("cpu")
        self.device = self.place.type
        if self.device == "cuda":
            self.device = f"cuda ({torch.cuda.get_device_name(self.place)})"

    def build(
        self, spec: ModelSpec, optimizer: Optimizer, *, precision: Precision, native: Native, seed: int
    ) -> TorchModel:
        """See common.backend.Backend."""
        torch.manual_seed(seed)
        return TorchModel(spec, optimizer, device=self.place, precision=precision, native=native)


if arguments is not None:
    main(PyTorch, arguments)
