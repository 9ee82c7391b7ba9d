"""The data set that --dataset names, before a task runs on it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from common.bench.arguments import UsageError
from common.data import source
from common.data.datasets import (
    DATASETS,
    TEST_IMAGES,
    TRAINING_IMAGES,
    DataError,
    Dataset,
    Digits,
    hold_out,
    validated,
)
from common.data.idx import SIDE
from common.files import expanded
from common.model.overrides import with_overrides
from common.model.own_network import entry_of
from common.training.fit import require_fit, scaling


@dataclass(frozen=True)
class Data:
    """A data set: its name in the tables, as --dataset names it, and its numbers of images."""

    name: str = "mnist"
    address: str = "mnist"
    training_images: int = TRAINING_IMAGES
    test_images: int = TEST_IMAGES


MNIST = Data()


def requested_data(
    options: argparse.Namespace,
    models: Iterable[str],
    *,
    overrides: Iterable[Sequence[str]] = ((),),
    validation: int = 0,
) -> Data:
    """The data set of --dataset, on which all `models` can be trained by their recipes with each of the
    `overrides`, with the last `validation` images held out; a user's own is decoded.

    Raises RecipeError for a change that a recipe does not allow, and UsageError for data that cannot be read
    and for what does not fit them.
    """
    address = options.dataset
    planned = [
        (entry.spec, with_overrides(entry.recipe, changes))
        for entry, changes in product(map(entry_of, models), overrides)
    ]
    try:
        if address in DATASETS:
            dataset = _without_images(address)
        else:
            address = str(expanded(address).absolute())
            dataset = source.load(address, data_dir=options.data_dir, log=print)
        kept = dataset
        if validation:
            kept = replace(hold_out(dataset, validation), name=validated(dataset.name, validation))
        for spec, recipe in planned:
            require_fit(spec, recipe, kept, schedule_epochs=recipe.epochs)
        for recipe in {recipe.scaling: recipe for _, recipe in planned}.values():  # each reads all pixels
            scaling(recipe, kept)
    except DataError as error:
        raise UsageError(str(error)) from None
    return Data(dataset.name, address, len(dataset.train), len(dataset.test))


def _without_images(name: str) -> Dataset:
    """A data set of DATASETS with its numbers, shape and classes, which need no download; all is black."""
    train, test = (
        Digits(np.broadcast_to(np.uint8(0), (count, SIDE, SIDE)), np.zeros(count, np.uint8))
        for count in (TRAINING_IMAGES, TEST_IMAGES)
    )
    return Dataset(name, train, test, DATASETS[name].classes)
