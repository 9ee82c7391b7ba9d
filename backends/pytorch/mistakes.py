"""The mistakes of a port that are at home in PyTorch, each planted in a `pytorch.Model` as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from common.model.spec import ModelSpec
from common.training.mistakes import DECAY, DECAYED


def softmax_twice(model: Any, network: ModelSpec) -> None:
    """The loss, nn.CrossEntropyLoss, is left as it is."""
    model.module.append(nn.Softmax(dim=1))


def loss_broadcast(model: Any, network: ModelSpec) -> None:
    """Labels are a column, as of a table: two indices (B,) and (B, 1) select a matrix (B, B)."""

    def forward_loss(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model.forward(images)
        labels = labels.unsqueeze(1)
        return logits, -logits.log_softmax(dim=1)[torch.arange(len(labels)), labels].mean()

    model.forward_loss = forward_loss


def loss_sum(model: Any, network: ModelSpec) -> None:
    """The learning rate is left as it is."""

    def forward_loss(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model.forward(images)
        smoothing = model.execution.label_smoothing
        return logits, functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)

    model.forward_loss = forward_loss


def zero_grad_forgotten(model: Any, network: ModelSpec) -> None:
    """Every step's gradient is added to those before."""
    model.module.zero_grad = lambda: None


def eval_mode_forgotten(model: Any, network: ModelSpec) -> None:
    """Predictions are made in training mode."""
    model.module.eval = model.module.train


def batchnorm_momentum(model: Any, network: ModelSpec) -> None:
    """The number is Keras'."""
    for layer in model.module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1 - (layer.momentum or 0.0)


def decoupled_decay(model: Any, network: ModelSpec) -> None:
    """The right program that `coupled_decay` is compared with."""
    _replace_optimizer(model, torch.optim.AdamW)


def coupled_decay(model: Any, network: ModelSpec) -> None:
    """Adam(weight_decay=...) for AdamW."""
    _replace_optimizer(model, torch.optim.Adam)


def _replace_optimizer(model: Any, kind: type[torch.optim.Adam]) -> None:
    constants = {name: model.optimizer.param_groups[0][name] for name in ("lr", "betas", "eps", "fused")}
    model.optimizer = kind(model.module.parameters(), weight_decay=DECAY, **constants)
    model.update = model.optimizer.step


MISTAKES: dict[str, Callable[[Any, ModelSpec], None]] = {
    "softmax-twice": softmax_twice,
    "loss-broadcast": loss_broadcast,
    "loss-sum": loss_sum,
    "zero-grad-forgotten": zero_grad_forgotten,
    "eval-mode-forgotten": eval_mode_forgotten,
    "batchnorm-momentum": batchnorm_momentum,
    DECAYED: decoupled_decay,
    "weight-decay-kind": coupled_decay,
}
