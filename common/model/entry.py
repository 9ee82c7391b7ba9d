"""An entry of the zoo or of a user's file: a network and its recipe; of the zoo also its source, and the
accuracies that it was recorded with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from common.checked import Between, Checked
from common.model.recipe import Recipe, short_name
from common.model.spec import ModelSpec

PROJECT = "this project"
"""The source of the networks and recipes that were made here."""

Percent = Annotated[float, Between(0, 100)]


@dataclass(frozen=True, kw_only=True)
class Recorded(Checked):
    """An accuracy of recorded runs in percent: mean and standard deviation over seeds in both frameworks
    together, and the number of seeds in each. `python -m common.check --recorded` prints them."""

    mean: Percent
    sd: Annotated[float, Between(0)]
    seeds: Annotated[int, Between(1)]

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.sd:.2f} % ({self.seeds} seeds)"


@dataclass(frozen=True)
class Entry(Checked):
    """A network with its recipe and its source. All accuracies are in percent.

    `address` is where the source is published, empty where no address is known. `claimed` is the accuracy
    on images that were not trained on that the source states, None where it states none; `claim_note` is its
    claim in words, where it needs more than the number. `assumed` states what was decided where the
    source is silent or wrong.

    `common.check` compares the means of new seeds with those recorded: `accuracy` after the last epoch,
    `first_epoch`, and `tta`, with test-time augmentation (`common.analysis.thresholds`). Both last epochs of
    every run must reach `last_two_epochs_threshold`. A network that is not `judged` has runs and an accuracy,
    but no verdict and no place in the figures and the gallery. `target` is the mean that a recipe was
    designed to reach in both frameworks. None stands for no such requirement.

    `planned_seeds` is the number of seeds in each framework, fixed before the last of them are run, so that
    no verdict is a reason to stop or to go on.

    `file` is the name and the digest of the user's own file that the network is in (`own_network`); it is
    empty for a network of the zoo.

    Raises RecipeError for a value that the annotation of its field does not allow.
    """

    spec: ModelSpec
    recipe: Recipe
    source: str = ""
    accuracy: Recorded | None = None
    first_epoch: Recorded | None = None
    claimed: Percent | None = None
    claim_note: str = ""
    assumed: str = ""
    target: Percent | None = None
    last_two_epochs_threshold: Percent | None = None
    tta: Recorded | None = None
    judged: bool = True
    planned_seeds: Annotated[int, Between(1)] = 10
    address: str = ""
    file: str = ""

    @property
    def name(self) -> str:
        """The name on the command line and in the tables."""
        return self.spec.name

    @property
    def published(self) -> bool:
        """Whether the network is another source's, and not this project's own."""
        return self.source not in ("", PROJECT)

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
        f"accuracy {entry.accuracy or 'not recorded'}",
        f"  recipe:  {short_name(recipe.optimizer)}, lr {recipe.lr}, {short_name(recipe.schedule)}, batch "
        f"{recipe.batch_size}, {recipe.epochs} epochs, augment {short_name(recipe.augment)}, "
        + ", ".join([*recipe.details(), scaling, f"init {entry.spec.init}"]),
        f"  source:  {entry.source}; claims {entry.claim}",
    ]
    return "\n".join(lines + ([f"  assumed: {entry.assumed}"] if entry.assumed else []))
