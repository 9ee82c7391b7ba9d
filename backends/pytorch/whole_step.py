"""A training step as one graph of torch.compile: forward, loss, backward and update (`--compile`).

torch.compile of the network alone leaves the update, and what is between the graphs, to Python, which makes
the step of a small network longer: of mlp-tuned 1.2 times as long on one thread, this 0.6 times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, assert_never, cast

import torch

from backends.pytorch import layouts
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer, slots

F = TypeVar("F", bound=Callable[..., Any])
Tensors = list[torch.Tensor]


def numbers(optimizer: Optimizer, constants: dict[str, Any], steps: int) -> list[float]:
    """Learning rate of a step, and its second number: Adam's correction of v, the momentum of SGD.

    Computed here, because the graph would compute Adam's powers anew for every weight.
    """
    rate = float(constants["lr"])
    match optimizer:
        case SGD():
            return [rate, constants["momentum"]]
        case Adam():
            beta1, beta2 = constants["betas"]
            return [rate / (1 - beta1**steps), math.sqrt(1 - beta2**steps)]
        case Adadelta():
            return [rate, 0.0]
        case _:
            assert_never(optimizer)


def update(
    optimizer: Optimizer,
    constants: dict[str, Any],
    weight: torch.Tensor,
    gradient: torch.Tensor,
    state: Tensors,
    values: torch.Tensor,
) -> None:
    """Change a weight and its slots as torch.optim does in a step of these `numbers`."""
    rate, second = values
    match optimizer:
        case SGD() if not state:
            weight -= rate * gradient
        case SGD(nesterov=nesterov):
            (velocity,) = state
            velocity.mul_(second).add_(gradient)
            weight -= rate * (gradient + second * velocity if nesterov else velocity)
        case Adam():
            (average, square), (beta1, beta2) = state, constants["betas"]
            average.lerp_(gradient, 1 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            weight -= rate * average / (square.sqrt() / second + constants["eps"])
        case Adadelta():
            (square, change), (rho, eps) = state, (constants["rho"], constants["eps"])
            square.mul_(rho).addcmul_(gradient, gradient, value=1 - rho)
            delta = (change + eps).sqrt() / (square + eps).sqrt() * gradient
            change.mul_(rho).addcmul_(delta, delta, value=1 - rho)
            weight -= rate * delta
        case _:
            assert_never(optimizer)


def compiled(step: F, model: Any) -> F:
    """`step` of a `pytorch.Model` as one graph, in a run that compiles.

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
        images: torch.Tensor, labels: torch.Tensor, values: torch.Tensor, states: list[Tensors]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, loss = model.forward_loss(images, labels)
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient, state in zip(weights, gradients, states, strict=True):
                update(kind, constants, weight, gradient, state, values)
        return logits.detach(), loss.detach()

    # The C++ wrapper calls the kernels of a graph from C++ in place of Python; a GPU has graphs of its own.
    graph = torch.compile(whole, dynamic=False, options={"cpp_wrapper": model.device.type == "cpu"})

    @wraps(step)
    def in_one_graph(
        images: torch.Tensor, labels: torch.Tensor, rate: float, momentum: float | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not optimizer.state[weights[0]]:
            layouts.prepare_slots(model.module, optimizer, kind, 0)
        model.steps_done += 1
        now = group | {"lr": rate} | ({} if momentum is None else {"momentum": momentum})
        values = torch.tensor(numbers(kind, now, model.steps_done), dtype=model.dtype, device=model.device)
        states = [[optimizer.state[weight][slot] for slot in slots(kind)] for weight in weights]
        return graph(images, labels, values, states)

    return cast(F, in_one_graph)
