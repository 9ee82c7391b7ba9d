"""Dropout with masks from NumPy; all other pinned formulas are PyTorch's own."""

from __future__ import annotations

import torch
from torch import nn

from common.training.dropout_masks import Masks


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
