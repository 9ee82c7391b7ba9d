"""A mistake in the file of one side, and the places of a file that mistakes have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from common.bench.proof.changes import Change, Variant, first_of, plain, same, swap
from common.frameworks import PAIR


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A mistake in the file of `framework`.

    `stages` are those of which one is right. Both sides get `variant` and `prepared`, a change of either
    file, before the one side gets `change`: the networks of the zoo have no GroupNorm, say.
    """

    name: str
    cause: str
    stages: tuple[str, ...]
    framework: str
    change: Change
    variant: Variant
    prepared: tuple[Change, Change]


def mistake(
    name: str,
    cause: str,
    stage: str,
    *,
    left: Change | None = None,
    right: Change | None = None,
    variant: Variant = plain,
    prepared: tuple[Change, Change] = (same, same),
) -> Iterator[Mutant]:
    """The mistake on either side for which there is a change."""
    for framework, change in zip(PAIR, (left, right), strict=True):
        if change is not None:
            yield Mutant(
                name=name,
                cause=cause,
                stages=tuple(stage.split()),
                framework=framework,
                change=change,
                variant=variant,
                prepared=prepared,
            )


def at_start(left: str, functional: str, subclassed: str) -> tuple[Change, Change]:
    """A line before all others, in Keras' functional form or in `call`."""
    return (
        swap(r"def forward\(self, x\):\n", rf"\g<0>        x = {left}\n"),
        first_of(
            swap(r"    x = inputs = keras\.Input\(.*\)\n", rf"\g<0>    x = {functional}\n"),
            swap(r"    def call\(self, x.*\):\n", rf"\g<0>        x = {subclassed}\n"),
        ),
    )


def at_end(left: str, right: str) -> tuple[Change, Change]:
    """Other outputs than `x`."""
    return (
        swap(r"return x\n", f"return {left}\n"),
        first_of(
            swap(r"return keras\.Model\(inputs, x\)", f"return keras.Model(inputs, {right})"),
            swap(r"return x\n", f"return {right}\n"),
        ),
    )


def optimizers(left: str, right: str) -> tuple[Change, Change]:
    """Other optimizers in both files."""
    return (
        swap(r"return torch\.optim\..*", f"return torch.optim.{left}"),
        swap(r"return keras\.optimizers\..*", f"return keras.optimizers.{right}"),
    )


def losses(left: str, right: str) -> tuple[Change, Change]:
    """Other losses in both files: a definition of `loss` each."""
    return (
        swap(r"loss = nn\.CrossEntropyLoss\(\)", left),
        swap(r"loss = keras\.losses\.SparseCategoricalCrossentropy\(from_logits=True\)", right),
    )
