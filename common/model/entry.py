"""An entry of the zoo: a network, its recipe, its source, and the accuracies it must reach."""

from __future__ import annotations

from dataclasses import dataclass

from common.model.recipe import Recipe, short_name
from common.model.spec import ModelSpec

PROJECT = "this project"
"""The source of the networks and recipes that were made here."""


@dataclass(frozen=True)
class Entry:
    """A network with its recipe, its source and its thresholds. All accuracies are in percent.

    `address` is where the source is published, empty where no address is known. `claimed` is the test
    accuracy that the source states, None where there is none; `claim_note` is the
    source's claim in words, where it needs more than the number. `assumed` states what was decided where the
    source is silent or wrong.

    The means over seeds below which `common.check` fails are `threshold`, after one epoch
    `first_epoch_threshold`, and with test-time augmentation `tta_threshold`. Both last epochs of every run
    must reach `last_two_epochs_threshold`. A network that is not `judged` has runs and a threshold, but no
    verdict and no place in the figures and the gallery. `target` is the mean that a recipe was designed to
    reach in both frameworks. None stands for no such requirement.

    Thresholds are below the measured means by at least four standard errors over the seeds, so an honest
    rerun passes; where one seed has run, there is no standard error, and 0.3 points stand in for it.
    """

    spec: ModelSpec
    recipe: Recipe
    source: str
    threshold: float
    first_epoch_threshold: float
    claimed: float | None = None
    claim_note: str = ""
    assumed: str = ""
    target: float | None = None
    last_two_epochs_threshold: float | None = None
    tta_threshold: float | None = None
    judged: bool = True
    address: str = ""

    @property
    def name(self) -> str:
        """The name on the command line and in the tables."""
        return self.spec.name

    @property
    def published(self) -> bool:
        """Whether the network is another source's, and not this project's own."""
        return self.source != PROJECT

    @property
    def claim(self) -> str:
        """The source's claim in words."""
        if self.claim_note or self.claimed is None:
            return self.claim_note or "none"
        return f"{self.claimed:g} %"


def describe(entry: Entry) -> str:
    """The lines of `--list` for an entry: its size, recipe, source, claim and assumptions."""
    recipe = entry.recipe
    scaling = "pixels in 0..1" if recipe.std == 1 else f"mean {recipe.mean}, standard deviation {recipe.std}"
    lines = [
        f"{entry.name}: {entry.spec.parameters:,} parameters, {entry.spec.multiply_adds:,} multiply-adds, "
        f"threshold {entry.threshold} %",
        f"  recipe:  {short_name(recipe.optimizer)}, lr {recipe.lr}, {short_name(recipe.schedule)}, batch "
        f"{recipe.batch_size}, {recipe.epochs} epochs, augment {short_name(recipe.augment)}, "
        + ", ".join([*recipe.details(), scaling, f"init {entry.spec.init}"]),
        f"  source:  {entry.source}; claims {entry.claim}",
    ]
    return "\n".join(lines + ([f"  assumed: {entry.assumed}"] if entry.assumed else []))
