"""Mistakes to be planted in PyTorch's layers: their outputs stay right, their gradients become wrong."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def _scale_gradient(layer: nn.Module) -> nn.Module:
    """Give the inputs and weights of `layer` 0.9 of their gradient."""

    def scale(module: nn.Module, inputs: object, outputs: torch.Tensor) -> None:
        if outputs.requires_grad:
            outputs.register_hook(lambda gradient: 0.9 * gradient)

    layer.register_forward_hook(scale)
    # Else backends/pytorch/fast.py would put a quicker layer in the place of Flatten.
    return nn.Sequential(layer) if isinstance(layer, nn.Flatten) else layer


def _hold_statistics(layer: nn.BatchNorm2d) -> nn.Module:
    """Hold the statistics of the batch constant in the gradient of batch normalisation."""

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        mean = inputs.detach().mean(axes)
        variance = inputs.detach().var(axes, unbiased=False)
        return nn.functional.batch_norm(inputs, mean, variance, layer.weight, layer.bias, eps=layer.eps)

    layer.forward = forward
    return layer


MUTANTS: dict[str, Callable[..., nn.Module]] = {
    "gradient times 0.9": _scale_gradient,
    "statistics held constant": _hold_statistics,
}
