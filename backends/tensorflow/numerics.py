"""Changes of TensorFlow's arithmetic in this project, in order; the column `numerics` counts them."""

from __future__ import annotations

from common.model.layers import BatchNorm, Flatten
from common.model.optimizer import Adam, Optimizer
from common.model.spec import ModelSpec
from common.training.numerics import Change, every_run, layers, optimizers

NARROW = 16
"""A BatchNorm of fewer channels takes its moments by sums of this project's, not by TensorFlow's kernel."""


def _has_narrow_norm(network: ModelSpec, optimizer: Optimizer) -> bool:
    norms = [node for node in network.leaves() if isinstance(node.layer, BatchNorm)]
    return any(node.input_shape[0] < NARROW for node in norms)


CHANGES: tuple[Change, ...] = (
    Change("ab55572", "images stay bytes until a training step scales them", every_run),
    Change("0a1d760", "the dense kernel after Flatten is permuted, not the activations", layers(Flatten)),
    Change("c3ffef0", "Adam is exact in double precision", optimizers(Adam)),
    Change("fdb5158", "BatchNorm of few channels sums a batch exactly", _has_narrow_norm),
    Change("7efcfdc", "BatchNorm of few channels takes its variance in two passes", _has_narrow_norm),
)
