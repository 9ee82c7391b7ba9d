"""How a network is trained: the recipe, its name in the tables and its digest.

A field that was added when there were results already is left out of the digest while it has its default, so
that these results keep theirs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.data.augment import Affine
from common.data.batches import normalise
from common.data.moment_normalization import MomentNormalization, normalize
from common.identity import added_field, is_added, kind_of, recorded_name
from common.model.optimizer import Optimizer
from common.model.schedule import Constant, Schedule
from common.model.spec import ModelSpec


class RecipeError(ValueError):
    """A change that no recipe can have; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Pixels in 0..1 have `mean` taken off and are divided by `std`.

    With `label_smoothing` s the wanted distribution is 1 - s of the label and s of all classes evenly
    (Szegedy et al., 2016). With `averaged` n the network that is tested after the last epoch has the mean of
    the weights and statistics at the ends of the last n. With `moments` all images, those of the test too,
    are brought to like ones first. With `shifted` n the last test is also done with the mean of the logits of
    each image and of that image n pixels further up, down, left and right.
    """

    optimizer: Optimizer
    lr: float
    batch_size: int
    epochs: int
    schedule: Schedule = Constant()
    augment: Affine | None = None
    mean: float = 0.1307
    std: float = 0.3081
    label_smoothing: float = added_field(0.0)
    averaged_epochs: int = added_field(0, recorded="averaged")
    moments: MomentNormalization | None = added_field(None)
    tta_shift: int = added_field(0, recorded="shifted")

    def __post_init__(self) -> None:
        """Raises RecipeError for what no training can have."""
        sound = {
            "lr": 0 < self.lr < math.inf,
            "batch_size": self.batch_size > 0,
            "epochs": self.epochs >= 0,
            "std": 0 < self.std < math.inf,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "averaged_epochs": self.averaged_epochs >= 0,
            "tta_shift": 0 <= self.tta_shift < 28,
        }
        for name in (name for name, holds in sound.items() if not holds):
            raise RecipeError(f"No recipe has {name}={getattr(self, name)}.")

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON, each choice with the name of its kind."""
        return _plain(self)

    def preprocess(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The images (N, 28, 28) as a network is to see them, still bytes."""
        return normalize(images, self.moments) if self.moments else images

    def to_input(self, images: NDArray[np.uint8], *, dtype: DTypeLike = "float32") -> NDArray[np.floating]:
        """Images (N, 28, 28) as a network takes them: (N, 1, 28, 28)."""
        return self.normalise(self.preprocess(images), dtype=dtype)

    def normalise(self, pixels: NDArray[np.uint8], *, dtype: DTypeLike = "float32") -> NDArray[np.floating]:
        """What `pixels` made, as a network takes it."""
        return normalise(pixels, mean=self.mean, std=self.std, dtype=dtype)

    def details(self) -> list[str]:
        """What else is done, in words."""
        told = {
            f"images alike in {short_name(self.moments)}": self.moments,
            f"label smoothing {self.label_smoothing:g}": self.label_smoothing,
            f"the last {self.averaged_epochs} epochs averaged": self.averaged_epochs,
            f"tested on images shifted by {self.tta_shift} too": self.tta_shift,
        }
        return [words for words, done in told.items() if done]


def _plain(choice: Any) -> dict[str, object]:
    """The fields of a dataclass, but for later ones at their default; what is a choice, with its kind."""
    shown = {}
    for one in dataclasses.fields(choice):
        value = getattr(choice, one.name)
        if is_added(one) and value == one.default:
            continue
        shown[recorded_name(one)] = _plain(value) if dataclasses.is_dataclass(value) else value
        if one.name in CHOICES and value is not None:
            shown[one.name] = {"kind": kind_of(value)} | _plain(value)
    return shown


CHOICES = ("optimizer", "schedule", "augment", "moments")


def recipe_hash(spec: ModelSpec, recipe: Recipe, *, start: str = "") -> str:
    """Twelve hexadecimal digits that change with anything in the network, its recipe, or the digest of the
    weights it starts from where those are not the initial ones."""
    text = json.dumps([spec.to_dict(), recipe.to_dict(), *([start] if start else [])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def short_name(choice: object) -> str:
    """`OneCycle(warm_up=0.25)`: a choice and its settings that are not the default, as the tables show it."""
    if not dataclasses.is_dataclass(choice):
        return "none"
    shown = []
    for one in dataclasses.fields(choice):
        value = getattr(choice, one.name)
        if value != one.default:
            shown.append(f"{one.name}={value}".replace(" ", ""))
    return f"{kind_of(choice)}({' '.join(shown)})"
