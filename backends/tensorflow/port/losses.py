"""The losses that stand in for a user's own when common.port compares what follows the loss."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow import Tensor


def standard(outputs: Tensor, labels: Tensor, *, kind: str, **settings: Any) -> Tensor:
    """The loss of a `kind` of common.port.losses: of logits or values, with its settings."""
    reduction = settings.get("reduction", "mean")
    match kind:
        case "cross-entropy":
            smoothing = settings.get("smoothing", 0.0)
            own = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)
            uniform = tf.reduce_logsumexp(outputs, axis=1) - tf.reduce_mean(outputs, axis=1)
            losses = (1 - smoothing) * own + smoothing * uniform
        case "binary-cross-entropy":
            targets = tf.reshape(tf.cast(labels, outputs.dtype), tf.shape(outputs))
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, outputs)
        case "squares":
            losses = (outputs - tf.reshape(tf.cast(labels, outputs.dtype), tf.shape(outputs))) ** 2
        case "outputs":  # no labels: the mean of the squared outputs
            losses = outputs**2
        case _:
            raise ValueError(f"{kind} is no loss")
    return tf.reduce_sum(losses) if reduction == "sum" else tf.reduce_mean(losses)
