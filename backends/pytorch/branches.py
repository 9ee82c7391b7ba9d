"""Layers with layers inside; their children have the canonical names of the nodes."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class Residual(nn.Sequential):
    """The sum of the outputs of some layers and of a shortcut, an empty one being the input itself."""

    def __init__(self, layers: nn.Sequential, shortcut: nn.Sequential) -> None:
        super().__init__(OrderedDict(layers.named_children()))
        self.shortcut = shortcut

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The sum, of the shape that both outputs have."""
        *layers, shortcut = self
        outputs = inputs
        for layer in layers:
            outputs = layer(outputs)
        return outputs + shortcut(inputs)


class Concat(nn.Sequential):
    """The outputs of several branches, one after another along the channels."""

    def __init__(self, *branches: nn.Sequential) -> None:
        named = {f"branch{number}": branch for number, branch in enumerate(branches, 1)}
        super().__init__(OrderedDict(named))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) or (N, F), C or F the sum of those of the branches."""
        return torch.cat([branch(inputs) for branch in self], dim=1)
