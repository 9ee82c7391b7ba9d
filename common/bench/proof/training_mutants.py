"""Mistakes in the loss and in the optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from common.bench.proof.changes import Change, all_of, same, swap
from common.bench.proof.mutant import Mutant, losses, mistake, optimizers

CLIPPED = """class Clipped(torch.optim.SGD):
    def step(self, closure=None):
        nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 1.0)
        return super().step(closure)


def optimizer(parameters):"""
MOMENTUM = optimizers("SGD(parameters, lr=0.01, momentum=0.9)", "SGD(0.01, momentum=0.9)")
ADAM = optimizers("Adam(parameters, lr=0.001)", "Adam(0.001, epsilon=1e-08)")
ADAMW = optimizers(
    "AdamW(parameters, lr=0.001, weight_decay=0.01)", "AdamW(0.001, weight_decay=0.01, epsilon=1e-08)"
)
COUPLED = optimizers(
    "SGD(parameters, lr=0.01, momentum=0.9, weight_decay=0.01)", "SGD(0.01, momentum=0.9, weight_decay=0.01)"
)


def of_loss() -> Iterator[Mutant]:
    """Mistakes in the loss."""
    left, right = losses("loss = nn.NLLLoss()", "loss = keras.losses.SparseCategoricalCrossentropy()")
    yield from mistake("softmax-in-loss", "softmax-output", "forward loss", left=left, right=right)
    left, right = losses(
        'loss = nn.CrossEntropyLoss(reduction="sum")',
        'loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")',
    )
    yield from mistake("loss-reduction", "loss-reduction", "loss", left=left, right=right)
    left, right = losses(
        "loss = nn.CrossEntropyLoss(label_smoothing=0.1)",
        "loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
    )
    yield from mistake("label-smoothing", "label-smoothing", "loss", left=left, right=right)
    left, right = losses(
        "def loss(outputs, labels):\n    return F.mse_loss(outputs.squeeze(1), labels)",
        "loss = keras.losses.MeanSquaredError()",
    )
    yield from mistake(
        "loss-broadcast",
        "loss-broadcast",
        "loss",
        prepared=(
            all_of(swap(r"(nn\.(?:Conv2d|Linear)\(\d+, )10\b", r"\g<1>1", "last"), left),
            all_of(swap(r"(layers\.(?:Conv2D|Dense)\()10\b", r"\g<1>1", "last"), right),
        ),
        left=swap(r"outputs\.squeeze\(1\)", "outputs"),
        right=swap(
            r"loss = keras\.losses\.MeanSquaredError\(\)",
            "def loss(labels, outputs):\n    return keras.ops.mean((outputs - labels) ** 2)",
        ),
    )


def of_optimizer() -> Iterator[Mutant]:
    """Mistakes in the optimizer."""

    def yielded(
        cause: str, prepared: tuple[Change, Change], *, name: str = "", **sides: str
    ) -> Iterator[Mutant]:
        both = optimizers(sides.get("left", ""), sides.get("right", ""))
        yield from mistake(
            name or cause,
            cause,
            "optimizer",
            prepared=prepared,
            left=both[0] if "left" in sides else None,
            right=both[1] if "right" in sides else None,
        )

    yield from yielded(
        "learning-rate",
        MOMENTUM,
        left="SGD(parameters, lr=0.1, momentum=0.9)",
        right="SGD(0.001, momentum=0.9)",
    )
    yield from yielded(
        "nesterov",
        MOMENTUM,
        left="SGD(parameters, lr=0.01, momentum=0.9, nesterov=True)",
        right="SGD(0.01, momentum=0.9, nesterov=True)",
    )
    yield from yielded(
        "weight-decay",
        ADAMW,
        left="AdamW(parameters, lr=0.001, weight_decay=0.1)",
        right="AdamW(0.001, epsilon=1e-08)",
    )
    yield from yielded("weight-decay-kind", ADAMW, left="Adam(parameters, lr=0.001, weight_decay=0.01)")
    yield from mistake(
        "weight-decay-kind",
        "weight-decay-kind",
        "optimizer",
        prepared=(COUPLED[0], same),
        right=COUPLED[1],
    )
    yield from mistake(
        "gradient-clipping",
        "gradient-clipping",
        "optimizer",
        prepared=MOMENTUM,
        left=all_of(
            swap(r"def optimizer\(parameters\):", CLIPPED),
            swap(r"return torch\.optim\.SGD", "return Clipped"),
        ),
        right=optimizers("", "SGD(0.01, momentum=0.9, clipnorm=1.0)")[1],
    )
    yield from yielded(
        "optimizer-epsilon", ADAM, left="Adam(parameters, lr=0.001, eps=1e-06)", right="Adam(0.001)"
    )
    yield from mistake(
        "optimizer-epsilon-place", "optimizer-epsilon-place", "optimizer", prepared=ADAM, right=same
    )
    yield from mistake(
        "momentum-learning-rate", "momentum-learning-rate", "optimizer", prepared=MOMENTUM, right=same
    )
