"""Dropout with masks from NumPy, and names of activations; the pinned formulas are PyTorch's own."""

from __future__ import annotations

import torch
from torch import nn

from common.model import layers
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
        mask = self.masks(tuple(inputs.shape), str(inputs.dtype).removeprefix("torch."))
        return inputs * torch.from_numpy(mask).to(inputs.device)
