"""The mistakes: each cause that common.port names, planted in the file of either side."""

from __future__ import annotations

from collections.abc import Iterator

from common.bench.proof.layer_mutants import of_layers, of_padding
from common.bench.proof.mutant import Mutant, at_end, at_start, losses, mistake, optimizers
from common.bench.proof.training_mutants import ADAM, of_loss, of_optimizer


def _others() -> Iterator[Mutant]:
    """Differences that have no name: the right cause is `unknown`."""
    left, right = at_start(
        "x.transpose(2, 3)", "layers.Permute((2, 1, 3))(x)", "keras.ops.transpose(x, (0, 2, 1, 3))"
    )
    yield from mistake("images-transposed", "unknown", "forward", left=left, right=right)
    left, right = losses(
        "def loss(outputs, labels):\n"
        '    own = F.cross_entropy(outputs, labels, reduction="none")\n'
        "    return ((1 - torch.exp(-own)) ** 2 * own).mean()",
        "def loss(labels, outputs):\n"
        "    own = keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)\n"
        "    return keras.ops.mean((1 - keras.ops.exp(-own)) ** 2 * own)",
    )
    yield from mistake("focal-loss", "unknown", "loss", left=left, right=right)
    left, right = at_end("0.9 * x + 0.1 * x.detach()", "0.9 * x + 0.1 * keras.ops.stop_gradient(x)")
    yield from mistake("gradient-stopped", "unknown", "gradient", left=left, right=right)
    left, right = optimizers(
        "Adam(parameters, lr=0.001, betas=(0.9, 0.99))", "Adam(0.001, beta_2=0.99, epsilon=1e-08)"
    )
    yield from mistake("adam-betas", "unknown", "optimizer", prepared=ADAM, left=left, right=right)


MUTANTS = (*of_layers(), *of_padding(), *of_loss(), *of_optimizer(), *_others())
