"""PyTorch: a network built, trained, tested and saved. `python pytorch.py --help`.

The networks are described in common/model/zoo.py. tf.py has the same parts in TensorFlow, in that order.
What makes the two compute the same numbers, quickly and measurably, is in backends/.
"""

from __future__ import annotations

from common.cli.main import main, parse_arguments

# Parsed first: --help and errors in the flags need no framework, whose import takes seconds.
arguments = parse_arguments("pytorch") if __name__ == "__main__" else None

import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from backends.pytorch import branches, device, distributed, fast, layouts, parity
from backends.pytorch.defaults_probe import DefaultsProbe
from backends.pytorch.instruments import Instruments
from backends.pytorch.mistakes import MISTAKES
from backends.pytorch.native_loader import NativeLoader
from backends.pytorch.numerics import CHANGES
from common.model import layers, spec
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.training.backend import Execution
from common.training.dropout_masks import Masks

Array = NDArray[Any]


def build_layer(node: spec.Node, execution: Execution) -> nn.Module:
    """The PyTorch layer of one node of a network."""
    channels = node.input_shape[0]
    match node.layer:
        case layers.Conv(out_channels, kernel_size) as conv:
            options: dict[str, Any] = {"stride": conv.stride, "padding": conv.padding, "groups": conv.groups}
            options |= {"dilation": conv.dilation, "bias": conv.bias}
            return nn.Conv2d(channels, out_channels, kernel_size, **options)
        case layers.BatchNorm(eps=eps, momentum=momentum, affine=affine):
            norm = nn.BatchNorm2d if len(node.input_shape) == 3 else nn.BatchNorm1d
            own = "norm" in execution.native
            return norm(channels, affine=affine) if own else norm(channels, eps, momentum, affine)
        case layers.GroupNorm(groups, eps=eps):
            own = "norm" in execution.native
            return nn.GroupNorm(groups, channels) if own else nn.GroupNorm(groups, channels, eps)
        case layers.Activation(function):
            return parity.ACTIVATIONS[function]()
        case layers.MaxPool(kernel_size, stride, padding=padding):
            return nn.MaxPool2d(kernel_size, stride, padding)
        case layers.AvgPool(kernel_size, stride, padding=padding):
            return nn.AvgPool2d(kernel_size, stride, padding)
        case layers.GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case layers.Flatten():
            return nn.Flatten()
        case layers.Dense(out_features, bias=bias):
            return nn.Linear(channels, out_features, bias=bias)
        case layers.Dropout() | layers.SpatialDropout() if execution.masks is not None:
            return parity.MaskedDropout(Masks.of(node, execution.masks))
        case layers.Dropout(rate):
            return nn.Dropout(rate)
        case layers.SpatialDropout(rate):
            return nn.Dropout2d(rate)
        case spec.Residual():
            return branches.Residual(*(build_layers(branch, execution) for branch in node.branches))
        case spec.Concat():
            return branches.Concat(*(build_layers(branch, execution) for branch in node.branches))
        case _:
            assert_never(node.layer)


def build_layers(nodes: Iterable[spec.Node], execution: Execution) -> nn.Sequential:
    """The layers of a network, or of a branch, in order, under the last part of their canonical names."""
    modules = [(node.name.rpartition(".")[2], build_layer(node, execution)) for node in nodes]
    return nn.Sequential(OrderedDict(fast.layers(modules, execution)))


def build_optimizer(
    optimizer: Optimizer, weights: Iterable[nn.Parameter], execution: Execution
) -> torch.optim.Optimizer:
    """The PyTorch optimizer of `weights`; its learning rate is set before each step."""
    own_constants = "optimizer" in execution.native
    # One kernel for all weights, which Adadelta lacks; with the native loader the choice is PyTorch's.
    fused = None if execution.loader else True
    match optimizer:
        case SGD(momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(weights, lr=0.0, momentum=float(momentum), nesterov=nesterov, fused=fused)
        case Adam(beta1=beta1, beta2=beta2, eps=eps):
            constants: Any = {} if own_constants else {"betas": (float(beta1), float(beta2)), "eps": eps}
            return torch.optim.Adam(weights, lr=0.0, fused=fused, **constants)
        case Adadelta(rho=rho, eps=eps):
            constants = {} if own_constants else {"rho": rho, "eps": eps}
            return torch.optim.Adadelta(weights, lr=0.0, foreach=fused, **constants)
        case _:
            assert_never(optimizer)


class Model:
    """A network with its optimizer on one device (`common.training.backend.Model`)."""

    def __init__(
        self, network: spec.ModelSpec, optimizer: Optimizer, *, execution: Execution, device: torch.device
    ) -> None:
        self.execution, self.world, self.device = execution, execution.world, device
        self.dtype = torch.float64 if execution.precision == "float64" else torch.float32
        self.memory_format = fast.memory_format(torch.contiguous_format, network, execution)
        self.module = build_layers(network.nodes(), execution)
        self.module.to(device, self.dtype).to(memory_format=self.memory_format)
        compiled = torch.compile(self.module) if execution.compiled else self.module
        self.forward = distributed.average_gradients(compiled, self.world)
        self.optimizer_spec = optimizer
        build = fast.without_dynamo(build_optimizer, execution)
        self.optimizer = build(optimizer, self.module.parameters(), execution)
        self.steps_done = 0
        # The methods below, replaced by quicker ones that compute the same (backends/pytorch/fast.py).
        self.update = fast.update(self.optimizer.step, self.optimizer, execution)
        self.to_device = fast.keep_on_device(self.to_device)
        self.gather = fast.reuse_memory(self.gather, self)
        self.step = fast.one_graph(self.step, self)

    def train_steps(
        self, images: Array, labels: Array, order: Array, rate: Array, momentum: Array | None = None
    ) -> tuple[Array, Array]:
        """Run len(order) training steps; see common.training.backend.Model."""
        inputs, targets = self.to_device(images, labels)
        self.module.train()
        with distributed.peer_errors(self.world):
            return self.run_steps(inputs, targets, self.world.shard(order), rate, momentum)

    def run_steps(
        self, inputs: torch.Tensor, targets: torch.Tensor, order: Array, rate: Array, momentum: Array | None
    ) -> tuple[Array, Array]:
        """Loss and number of correct predictions of each step, of a batch `order[step]`."""
        batches = torch.from_numpy(order).to(self.device)
        momenta = [None] * len(order) if momentum is None else momentum.tolist()
        labels_of_steps, losses, logits_of_steps = targets[batches], [], []
        schedule = zip(batches, labels_of_steps, rate.tolist(), momenta, strict=True)
        for batch, labels, step_rate, step_momentum in schedule:
            logits, loss = self.step(self.gather(inputs, batch), labels, step_rate, step_momentum)
            losses.append(loss.detach())
            logits_of_steps.append(logits.detach())
        # Once for all steps: an operation in each would take as long as one of a small network's own.
        predictions = torch.stack(logits_of_steps).max(dim=2).indices  # quicker than argmax on a CPU
        correct = (predictions == labels_of_steps).sum(dim=1)
        loss_shares = torch.stack(losses).double() / self.world.size
        return distributed.total(loss_shares, self.world), distributed.total(correct, self.world)

    def step(
        self, images: torch.Tensor, labels: torch.Tensor, rate: float, momentum: float | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, outputs) and loss of one training step."""
        group = self.optimizer.param_groups[0]
        group["lr"] = rate
        if momentum is not None:
            group["momentum"] = momentum
        self.module.zero_grad()
        logits, loss = self.forward_loss(images, labels)
        loss.backward()
        self.update()
        self.steps_done += 1
        return logits, loss

    def forward_loss(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, outputs) and the mean cross-entropy of a batch."""
        with self._autocast():
            logits = self.forward(images)
            smoothing = self.execution.label_smoothing
            return logits, nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.execution.precision == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    @torch.inference_mode()
    def predict(self, images: Array) -> Array:
        """Logits (N, outputs) of images (N, channels, H, W); see common.training.backend.Model."""
        self.module.eval()
        inputs = torch.from_numpy(images).to(self.device, memory_format=self.memory_format)
        size = fast.prediction_batch(max(len(images), 1), self.device)
        with self._autocast():  # by the module itself: neither compiled nor distributed
            logits = torch.cat([self.module(batch) for batch in inputs.split(size)])
        return logits.to(self.dtype).cpu().numpy()

    def state_dict(self) -> dict[str, Array]:
        """The state from which training continues; see common.training.backend.Model."""
        tensors = layouts.variables(self.module, self.optimizer, self.optimizer_spec)
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors}
        random = {name: generator.numpy() for name, generator in layouts.generators(self.device)}
        return arrays | random | {"optimizer.step": np.array(self.steps_done, np.int64)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Load weights, and the other entries that `state` has; see common.training.backend.Model."""
        if "optimizer.step" in state:
            self.steps_done = int(state["optimizer.step"])
            layouts.prepare_slots(self.module, self.optimizer, self.optimizer_spec, self.steps_done)
        for name, tensor in layouts.variables(self.module, self.optimizer, self.optimizer_spec):
            if name in state or not name.startswith("optimizer."):
                tensor.copy_(torch.from_numpy(np.array(state[name])))
        layouts.set_generators(self.device, state)

    def to_device(self, images: Array, labels: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, channels, H, W) and labels (N,) as tensors."""
        inputs = torch.from_numpy(images).to(self.device, memory_format=self.memory_format)
        return inputs, torch.from_numpy(labels).to(self.device)

    def gather(self, images: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """The pixels of a batch; bytes are scaled."""
        batch = images[indices]
        if batch.dtype != torch.uint8:
            return batch
        scaling = self.execution.scaling
        return batch.to(self.dtype).mul_(scaling.factor).add_(scaling.shift)


class Backend:
    """PyTorch in this process (`common.training.backend.Backend`)."""

    name = "pytorch"
    version = str(torch.__version__)
    defaults = DefaultsProbe()
    numerics = CHANGES
    mistakes = MISTAKES

    def __init__(self, *, accelerate: bool, threads: int) -> None:
        self.place = device.choose(accelerate=accelerate, threads=threads)
        self.device, self.threads = device.name(self.place), torch.get_num_threads()
        self.instruments, self.native_loader = Instruments(self.place), NativeLoader()

    def build(
        self, network: spec.ModelSpec, optimizer: Optimizer, *, execution: Execution, seed: int
    ) -> Model:
        """A model of `network`; see common.training.backend.Backend."""
        if execution.compiled:
            device.check_compiler(self.place)
        distributed.connect(execution.world, self.place)
        torch.manual_seed(execution.world.seed(seed))
        return Model(network, optimizer, execution=execution, device=self.place)


if arguments is not None:
    main(Backend, arguments)
