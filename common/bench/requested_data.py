"""The data set that --dataset names, before a task runs on it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.bench.arguments import UsageError
from common.data import source
from common.data.datasets import DATASETS, TEST_IMAGES, TRAINING_IMAGES, DataError, Dataset, Digits
from common.data.idx import SIDE
from common.model.own_network import entry_of
from common.training.fit import require_fit


@dataclass(frozen=True)
class Data:
    """A data set: its name in the tables, as --dataset names it, and its numbers of images."""

    name: str = "mnist"
    address: str = "mnist"
    training_images: int = TRAINING_IMAGES
    test_images: int = TEST_IMAGES


MNIST = Data()


def requested_data(options: argparse.Namespace, models: Iterable[str]) -> Data:
    """The data set of --dataset, on which all `models` can be trained; a user's own is decoded.

    Raises UsageError for data that cannot be read, and for a network that does not fit.
    """
    address = options.dataset
    try:
        if address in DATASETS:
            dataset = _without_images(address)
        else:
            address = str(Path(address).expanduser().absolute())
            dataset = source.load(address, data_dir=options.data_dir, log=print)
        for model in models:
            require_fit(entry_of(model).spec, dataset)
    except DataError as error:
        raise UsageError(str(error)) from None
    counts = len(dataset.train) or TRAINING_IMAGES, len(dataset.test) or TEST_IMAGES
    return Data(dataset.name, address, *counts)


def _without_images(name: str) -> Dataset:
    """A data set of DATASETS with its shape and its classes, which need no download."""
    none = Digits(np.empty((0, SIDE, SIDE), np.uint8), np.empty(0, np.uint8))
    return Dataset(name, none, none, DATASETS[name].classes)
