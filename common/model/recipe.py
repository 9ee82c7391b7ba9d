"""The recipe that a network is trained with, its name in the tables and its digest.

A field that was added when results had been recorded is left out of the digest at its default, so that those
results keep their digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.checked import Between, Checked
from common.data.augment import MAX_SIDE, Affine
from common.data.batches import Scaling, normalise
from common.data.datasets import TRAINING_IMAGES
from common.data.moment_normalization import MomentNormalization, normalize
from common.identity import added_field, is_added, kind_of, recorded_name
from common.model.optimizer import Optimizer
from common.model.schedule import Constant, OneCycle, Schedule
from common.model.spec import ModelSpec

MAX_EPOCHS = 100_000
"""Largest number of epochs in a recipe."""


@dataclass(frozen=True)
class Recipe(Checked):
    """The choices that define a training: optimizer, schedule, augmentation, preprocessing, evaluation.

    Pixels in 0..1 are normalised by subtracting `mean` and dividing by `std`. The defaults are those of
    MNIST's training images; on data of one's own they stand for those of its training images
    (`common.training.fit`). `label_smoothing` s gives the
    label 1 - s of the target distribution and all classes s evenly (Szegedy et al., 2016). With
    `averaged_epochs` n the network tested after the last epoch has the mean of the weights and statistics at
    the ends of the last n epochs. `moments` applies moment normalisation to all images, in training and in
    testing. With `tta_shift` n the last test is repeated with test-time augmentation: the mean of the logits
    of each image and of the image shifted by n pixels up, down, left and right.

    Raises RecipeError for a value with which nothing can be trained, and for a schedule that cycles the
    momentum of an optimizer without one: PyTorch's plain SGD would train with it, TensorFlow's would not.
    """

    optimizer: Optimizer
    _: KW_ONLY
    lr: Annotated[float, Between(0, above=True)]
    batch_size: Annotated[int, Between(1, TRAINING_IMAGES)]
    epochs: Annotated[int, Between(0, MAX_EPOCHS)]
    schedule: Schedule = Constant()
    augment: Affine | None = None
    mean: float = 0.1307
    std: Annotated[float, Between(0, above=True)] = 0.3081
    label_smoothing: Annotated[float, Between(0, 1, below=True)] = added_field(0.0)
    averaged_epochs: Annotated[int, Between(0, MAX_EPOCHS)] = added_field(0, recorded="averaged")
    moments: MomentNormalization | None = added_field(None)
    tta_shift: Annotated[int, Between(0, MAX_SIDE, below=True)] = added_field(0, recorded="shifted")

    def __post_init__(self) -> None:
        super().__post_init__()
        cycled = isinstance(self.schedule, OneCycle) and self.schedule.momentum
        if cycled and not getattr(self.optimizer, "momentum", 0):
            self.refuse(
                f"{short_name(self.schedule)} cycles the momentum of an SGD with momentum above 0, and the "
                f"optimizer is {short_name(self.optimizer)}: write OneCycle(momentum=None)"
            )

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON, each choice with its kind."""
        return _plain(self)

    def preprocess(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images (N, H, W) or (N, H, W, 3), moment-normalised where the recipe requires it, still bytes."""
        return normalize(images, self.moments) if self.moments else images

    def to_input(self, images: NDArray[np.uint8], *, dtype: DTypeLike = "float32") -> NDArray[np.floating]:
        """A network's input (N, channels, H, W) of images, scaled by the recipe's own mean and deviation."""
        return normalise(self.preprocess(images), self.scaling, dtype=dtype)

    @property
    def scaling(self) -> Scaling:
        """The recipe's own mean and standard deviation."""
        return Scaling(self.mean, self.std)

    def details(self) -> list[str]:
        """The options that are on, in words."""
        options = {
            f"moment normalisation {short_name(self.moments)}": self.moments,
            f"label smoothing {self.label_smoothing:g}": self.label_smoothing,
            f"the last {self.averaged_epochs} epochs averaged": self.averaged_epochs,
            f"test-time augmentation by shifts of {self.tta_shift}": self.tta_shift,
        }
        return [words for words, value in options.items() if value]


def _plain(choice: Any) -> dict[str, object]:
    """Fields of a dataclass by recorded name, without added ones at their default; a choice has its kind."""
    plain = {}
    for field in dataclasses.fields(choice):
        value = getattr(choice, field.name)
        if is_added(field) and value == field.default:
            continue
        plain[recorded_name(field)] = _plain(value) if dataclasses.is_dataclass(value) else value
        if field.name in CHOICES and value is not None:
            plain[field.name] = {"kind": kind_of(value)} | _plain(value)
    return plain


CHOICES = ("optimizer", "schedule", "augment", "moments")


def recipe_hash(
    spec: ModelSpec, recipe: Recipe, *, start: str = "", parts: Sequence[Mapping[str, object]] = ()
) -> str:
    """Twelve hexadecimal digits of the network and its recipe, and of what a run had that is not the
    recipe's: `start`, the digest of the weights it starts from, where those are not the initial ones, and
    `parts`, of a run whose parts were not trained alike."""
    changes = [*([start] if start else []), *([list(parts)] if parts else [])]
    text = json.dumps([spec.to_dict(), recipe.to_dict(), *changes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def short_name(choice: object) -> str:
    """A choice and its settings that are not the default, as in the tables: `OneCycle(warm_up=0.25)`."""
    if not dataclasses.is_dataclass(choice):
        return "none"
    settings = []
    for field in dataclasses.fields(choice):
        value = getattr(choice, field.name)
        if value != field.default:
            settings.append(f"{field.name}={value}".replace(" ", ""))
    return f"{kind_of(choice)}({' '.join(settings)})"
