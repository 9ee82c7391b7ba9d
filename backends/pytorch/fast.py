"""Quicker replacements of plain PyTorch: optional, and measured on two cores of a CPU.

Each function receives the plain object first and returns it, or a quicker one in its place. If each returned
its first argument, results would differ only by rounding, and by which dropout masks are drawn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from numpy.typing import NDArray
from torch import nn

from backends.pytorch import layouts, parity
from common.model import spec
from common.model.layers import BatchNorm, Conv
from common.model.optimizer import slots
from common.training.backend import Execution
from common.training.keep_last import keep_last

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])
Modules = list[tuple[str, nn.Module]]


def _without_shortcuts(execution: Execution) -> bool:
    """Whether a compiler or the native loader expects PyTorch's own layers and optimizers."""
    return execution.loader is not None or execution.compiled


class LayoutKeepingFlatten(nn.Flatten):
    """Flatten whose gradient has the memory format of its input.

    Otherwise the gradient comes channels-first to the pooling before it, whose own gradient then takes 1.1 ms
    instead of 0.15 (examples-cnn).
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C * H * W)."""
        if inputs.requires_grad and inputs.is_contiguous(memory_format=torch.channels_last):
            inputs.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return super().forward(inputs)


class QuickDropout(nn.Dropout):
    """Dropout that cuts its masks from 64 random bits at a time, 16 for each value (so `p` is kept to 2^-16).

    PyTorch's own draws one value after the other on one thread of a CPU: 2.4 ms where this takes 0.4
    (examples-cnn).
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`inputs` with a share `p` of the values zeroed and the rest divided by 1 - `p`, in training."""
        if not self.training or inputs.device.type != "cpu":
            return super().forward(inputs)
        words = torch.empty(-(-inputs.numel() // 4), dtype=torch.int64).random_(
            -(2**63), None
        )  # None: up to the largest integer
        draws = words.view(torch.int16).as_strided(inputs.shape, inputs.stride())
        mask = (draws >= round(self.p * 2**16) - 2**15).to(inputs.dtype)
        return inputs * mask.div_(1 - self.p)


def layers(modules: Modules, execution: Execution) -> Modules:
    """The same layers as a CPU is quicker at them: the two above, and ReLU after the max pooling it precedes.

    Pooling first changes no number and leaves a quarter of the values to ReLU (a step of pytorch-model-1: 3.5
    ms instead of 3.7, of examples-cnn 22 instead of 24).
    """
    if _without_shortcuts(execution):
        return modules
    quick = list(modules)
    for index, (name, module) in enumerate(quick):
        match module:
            case nn.Flatten():
                quick[index] = (name, LayoutKeepingFlatten())
            case nn.Dropout():
                quick[index] = (name, QuickDropout(module.p))
            case nn.MaxPool2d() if index and isinstance(quick[index - 1][1], nn.ReLU):
                # A swap keeps the length, so the loop goes on with the next layer.
                quick[index - 1 : index + 1] = [(name, module), quick[index - 1]]
    return quick


def memory_format(
    plain: torch.memory_format, network: spec.ModelSpec, execution: Execution
) -> torch.memory_format:
    """Memory format of a network's weights and images, by what was measured on a CPU.

    Channels last is what oneDNN convolves in: a step of under-8k takes 30 ms instead of 46. But there PyTorch
    normalises few channels slowly: a step of under-5k, which does so after four of its seven convolutions,
    takes 16.5 ms instead of 10.3. It also adds the values of a channel one by one in single precision: of
    21,632 its mean keeps five digits, and seven otherwise.
    """
    if execution.loader is not None:
        return plain
    images = [node for node in network.leaves() if len(node.input_shape) == 3]
    convolutions = sum(isinstance(node.layer, Conv) for node in images)
    narrow = sum(isinstance(node.layer, BatchNorm) and node.input_shape[0] < 16 for node in images)
    return plain if 3 * narrow > convolutions else torch.channels_last


def without_dynamo(
    build_optimizer: Callable[..., torch.optim.Optimizer], execution: Execution
) -> Callable[..., torch.optim.Optimizer]:
    """`build_optimizer` without the import of torch._dynamo, which takes a second.

    torch.optim (2.14) imports it to wrap `add_param_group` so that torch.compile leaves it out, and caches
    the wrapper in an attribute; with that attribute set there is no import.
    """
    if not _without_shortcuts(execution):
        method = inspect.unwrap(torch.optim.Optimizer.add_param_group)
        vars(method).setdefault("__dynamo_disable", method)
    return build_optimizer


def update(
    step: Callable[[], object], optimizer: torch.optim.Optimizer, execution: Execution
) -> Callable[[], object]:
    """The optimizer's step without what surrounds it for torch.compile and profilers, 0.03 ms a step."""
    if _without_shortcuts(execution):
        return step
    unwrapped = inspect.unwrap(type(optimizer).step)
    return torch.no_grad()(lambda: unwrapped(optimizer))


def keep_on_device(to_device: F) -> F:
    """`to_device` that moves the data once, and again only when other arrays are passed."""
    return cast(F, keep_last(to_device))


def reuse_memory(gather: F, model: Any) -> F:
    """`gather` of a `pytorch.Model` that writes every batch into the same memory, which is in the caches.

    The next call overwrites the batch: the backward pass must have run by then.
    """
    scaling, dtype = model.execution.scaling, model.dtype
    buffers: dict[tuple[int, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}

    @wraps(gather)
    def into_buffer(images: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        key = len(indices), images.dtype
        if key not in buffers:
            pixels = torch.empty_like(images[: len(indices)])
            buffers[key] = pixels, torch.empty_like(pixels, dtype=dtype)
        pixels, scaled = buffers[key]
        torch.index_select(images, 0, indices, out=pixels)
        if pixels.dtype != torch.uint8:
            return pixels
        scaled.copy_(pixels).mul_(scaling.factor)
        return scaled.add_(scaling.shift) if scaling.shift else scaled  # adding 0 changes no number

    return cast(F, into_buffer)


def one_graph(step: F, model: Any) -> F:
    """`step` of a `pytorch.Model` as one graph of torch.compile, update included, in a run with `--compile`.

    Compiling the network alone leaves the update, and what is between the graphs, to Python, which makes the
    step of a small network longer: of mlp-tuned 1.2 times as long on one thread, this 0.6 times.
    Where several processes exchange gradients within a step, or dropout masks come from NumPy, the network
    alone is compiled.
    """
    if not model.execution.compiled or model.world.size > 1 or model.execution.masks is not None:
        return step
    from torch import _dynamo  # here, because it takes a second

    _dynamo.config.trace_autograd_ops = True  # or the graph ends before the gradients
    optimizer, kind = model.optimizer, model.optimizer_spec
    group, weights = optimizer.param_groups[0], list(model.module.parameters())
    constants = {name: value for name, value in group.items() if name != "params"}

    def whole(
        images: torch.Tensor, labels: torch.Tensor, values: torch.Tensor, states: list[list[torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, loss = model.forward_loss(images, labels)
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient, state in zip(weights, gradients, states, strict=True):
                parity.update(kind, constants, weight, gradient, state, values)
        return logits.detach(), loss.detach()

    # The wrapper calls the kernels of a graph from C++ in place of Python.
    graph = torch.compile(whole, dynamic=False, options={"cpp_wrapper": model.device.type == "cpu"})

    @wraps(step)
    def in_one_graph(
        images: torch.Tensor, labels: torch.Tensor, rate: float, momentum: float | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not optimizer.state[weights[0]]:
            layouts.prepare_slots(model.module, optimizer, kind, 0)
        model.steps_done += 1
        now = group | {"lr": rate} | ({} if momentum is None else {"momentum": momentum})
        numbers = parity.update_numbers(kind, now, model.steps_done)
        values = torch.tensor(numbers, dtype=model.dtype, device=model.device)
        states = [[optimizer.state[weight][slot] for slot in slots(kind)] for weight in weights]
        return graph(images, labels, values, states)

    return cast(F, in_one_graph)


def prediction_batch(size: int, device: torch.device) -> int:
    """Images predicted at once. On a CPU more leave the caches: 10,000 take under-8k 1.3 s at 1000, 0.5 s at
    200."""
    return 200 if device.type == "cpu" else size
