"""The fit of a network and its recipe to a data set: what does not fit is refused before anything is built.

On a user's own data a recipe with MNIST's mean and standard deviation, which are the defaults, is run with
those of the training images.
"""

from __future__ import annotations

import dataclasses
from math import prod

from common.data.augment import Affine
from common.data.batches import Scaling, scaling_of
from common.data.datasets import DataError, Dataset, class_counts
from common.data.source import is_own
from common.model.layers import BatchNorm
from common.model.recipe import Recipe, short_name
from common.model.schedule import rates
from common.model.spec import ModelSpec
from common.training.job import Job

MAX_STEPS = 10**8
"""Of a run: its schedule is an array of so many rates."""


def fitted(job: Job, dataset: Dataset) -> Job:
    """`job` with the scaling that it has on `dataset`. Raises DataError for what does not fit."""
    require_fit(job.spec, job.recipe, dataset, schedule_epochs=job.schedule_epochs)
    execution = dataclasses.replace(job.execution, scaling=scaling(job.recipe, dataset))
    return dataclasses.replace(job, execution=execution)


def scaling(recipe: Recipe, dataset: Dataset) -> Scaling:
    """The recipe's mean and standard deviation; on a user's own data those of the training images in place of
    the defaults. Raises DataError where all pixels are equal."""
    defaults = {field.name: field.default for field in dataclasses.fields(Recipe)}
    given = (recipe.mean, recipe.std) != (defaults["mean"], defaults["std"])
    return recipe.scaling if given or not is_own(dataset.name) else scaling_of(dataset.train.images)


def require_fit(spec: ModelSpec, recipe: Recipe, dataset: Dataset, *, schedule_epochs: int) -> None:
    """Raise DataError unless the network takes the images of `dataset`, has an output for each class, and can
    be trained on them by its recipe; of the pixels' values alone `scaling` decides."""
    _require_network(spec, dataset)
    _require_recipe(recipe, schedule_epochs, dataset)
    if normalises_one_value(spec, recipe.batch_size):
        raise DataError(
            f"{spec.name} normalises each channel over a batch, which needs at least two values: batch_size="
            f"{recipe.batch_size} in the recipe is too small."
        )


def normalises_one_value(spec: ModelSpec, batch_size: int) -> bool:
    """Whether a BatchNorm has one value of a channel in a batch: PyTorch refuses it, TensorFlow trains."""
    norms = [node for node in spec.leaves() if isinstance(node.layer, BatchNorm)]
    return batch_size == 1 and any(prod(node.input_shape[1:]) == 1 for node in norms)


def _require_network(spec: ModelSpec, dataset: Dataset) -> None:
    if spec.input_shape != dataset.input_shape:
        raise DataError(
            f"{spec.name} requires images of shape {spec.input_shape}; those of {dataset.name} have "
            f"{dataset.input_shape}."
        )
    if spec.outputs < len(dataset.classes):
        raise DataError(
            f"{spec.name} has {spec.outputs} outputs, fewer than the {len(dataset.classes)} classes of "
            f"{dataset.name}."
        )


def _require_recipe(recipe: Recipe, schedule_epochs: int, dataset: Dataset) -> None:
    channels, *sides = dataset.input_shape
    count, shorter = len(dataset.train), min(sides)
    if recipe.batch_size > count:
        raise DataError(
            f"The batch size {recipe.batch_size} is more than the {count:,} training images of "
            f"{dataset.name}; it may be at most {count:,}."
        )
    if (steps := schedule_epochs * (count // recipe.batch_size)) > MAX_STEPS:
        raise DataError(
            f"{schedule_epochs:,} epochs of batches of {recipe.batch_size} are {steps:,} steps; at most "
            f"{MAX_STEPS:,} are."
        )
    by_epoch = rates(recipe.schedule, lr=1.0, epochs=schedule_epochs, steps=1)[: recipe.epochs]
    if len(by_epoch) and not by_epoch.any():
        raise DataError(
            f"{short_name(recipe.schedule)} gives each of the {recipe.epochs} epochs the learning rate 0, so "
            "nothing would be trained."
        )
    if recipe.moments and channels > 1:
        raise DataError(
            f"The recipe's moment normalisation is for grey images; those of {dataset.name} have {channels} "
            "channels: set moments=None in the recipe."
        )
    for words, pixels in _lengths(recipe.augment, recipe.tta_shift):
        if pixels > shorter:
            raise DataError(
                f"The recipe's {words} is too large for the images of {dataset.name}, whose shorter side has "
                f"{shorter} pixels."
            )
    empty = class_counts(dataset.train.labels, len(dataset.classes)) == 0
    if is_own(dataset.name) and empty.any():
        raise DataError(
            f"{dataset.name} has no training image of the class {dataset.classes[int(empty.argmax())]}: the "
            "last ones are held out, so put the training images in a random order."
        )


def _lengths(augment: Affine | None, tta_shift: int) -> list[tuple[str, float]]:
    """The lengths of a recipe that may not exceed an image's shorter side, in pixels, each with its field."""
    lengths: list[tuple[str, float]] = [(f"tta_shift={tta_shift}", tta_shift + 1)]  # a row is left
    if augment:
        lengths.append((f"augment.translation={augment.translation:g}", augment.translation))
    if augment and augment.zoom:
        lengths.append((f"augment.zoom.side={augment.zoom.side}", augment.zoom.side))
    if augment and augment.elastic:
        lengths.append((f"augment.elastic.knots={augment.elastic.knots}", augment.elastic.knots))
    return lengths
