"""The losses that stand in for a user's own when common.port compares what follows the loss."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def standard(outputs: torch.Tensor, labels: torch.Tensor, *, kind: str, **settings: Any) -> torch.Tensor:
    """The loss of a `kind` of common.port.losses: of logits or values, with its settings."""
    reduction = settings.get("reduction", "mean")
    match kind:
        case "cross-entropy":
            smoothing = settings.get("smoothing", 0.0)
            losses = functional.cross_entropy(outputs, labels, reduction="none", label_smoothing=smoothing)
        case "binary-cross-entropy":
            losses = functional.binary_cross_entropy_with_logits(
                outputs, labels.to(outputs).reshape(outputs.shape), reduction="none"
            )
        case "squares":
            losses = (outputs - labels.to(outputs).reshape(outputs.shape)) ** 2
        case "outputs":  # no labels: the mean of the squared outputs
            losses = outputs**2
        case _:
            raise ValueError(f"{kind} is no loss")
    return losses.sum() if reduction == "sum" else losses.mean()
