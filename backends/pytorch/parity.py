"""Dropout with masks from NumPy, names of activations, and PyTorch's updates as formulas to compile."""

from __future__ import annotations

import math
from typing import Any, assert_never

import torch
from torch import nn

from common.model import layers
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.training.dropout_masks import Masks

ACTIVATIONS: dict[layers.Function, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_swish": nn.Hardswish,
}


class MaskedDropout(nn.Module):
    """Dropout with masks from NumPy, (N, F) or (N, C, H, W) as the inputs."""

    def __init__(self, masks: Masks) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`inputs` times the next mask in training, as they are otherwise."""
        if not self.training:
            return inputs
        # NumPy has no bfloat16.
        drawn = "float64" if inputs.dtype == torch.float64 else "float32"
        return inputs * torch.from_numpy(self.masks(tuple(inputs.shape), drawn)).to(inputs)


def update_numbers(optimizer: Optimizer, constants: dict[str, Any], steps: int) -> list[float]:
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
    state: list[torch.Tensor],
    values: torch.Tensor,
) -> None:
    """Change a weight and its slots as torch.optim does in a step of these `update_numbers`."""
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
