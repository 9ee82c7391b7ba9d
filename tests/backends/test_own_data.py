"""Both frameworks on a user's own data: colour images that are no square, five classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import worker
from support.jobs import job
from support.own_data import write_pictures

from common.data import source
from common.data.augment import Affine, Elastic
from common.data.datasets import Dataset
from common.model.optimizer import Adam
from common.model.recipe import Recipe
from common.model.spec import Activation, BatchNorm, Conv, Dense, Flatten, MaxPool, ModelSpec
from common.tables import store
from common.training.backend import LoaderOptions
from common.training.fit import fitted
from common.training.job import Job

pytestmark = pytest.mark.slow

SPEC = ModelSpec(
    "coloured",
    (Conv(6, 3), BatchNorm(), Activation(), MaxPool(2), Flatten(), Dense(5)),
    input_shape=(3, 20, 24),
)
RECIPE = Recipe(
    Adam(),
    lr=0.01,
    batch_size=10,
    epochs=4,
    augment=Affine(rotation=3, translation=1.0, elastic=Elastic(0.5)),
    tta_shift=1,
)


@pytest.fixture
def things(tmp_path: Path) -> Dataset:
    return source.load(str(write_pictures(tmp_path / "things")), data_dir=tmp_path / "cache")


def a_job(dataset: Dataset, recipe: Recipe = RECIPE, **execution: object) -> Job:
    planned = job("tf-model-1", 4, spec=SPEC, recipe=recipe, schedule_epochs=4, test_batch_size=10)
    return fitted(replace(planned, execution=replace(planned.execution, **execution)), dataset)


def test_both_learn_the_classes_and_in_double_precision_the_same(things: Dataset, tmp_path: Path) -> None:
    pytorch, tensorflow = worker.run_pair(
        "trace", dataset=things, job=a_job(things, precision="float64"), whole=True
    )
    assert len(pytorch.losses) == 6
    np.testing.assert_allclose(pytorch.losses, tensorflow.losses, rtol=1e-10)
    assert worker.run_pair("execute", dataset=things, job=replace(a_job(things), results=tmp_path)) == (
        "ok",
        "ok",
    )
    for row in store.rows(tmp_path, "results.csv"):
        assert row["dataset"] == things.name
        assert float(row["accuracy"]) > 80
        assert float(row["shifted_accuracy"]) > 80


@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_the_own_loaders_train_on_colour_images(framework: str, things: Dataset, tmp_path: Path) -> None:
    recipe = replace(RECIPE, augment=None, tta_shift=0)
    planned = replace(a_job(things, recipe, loader=LoaderOptions()), results=tmp_path)
    assert worker.run(framework, "execute", dataset=things, job=planned) == "ok"
    (row,) = store.rows(tmp_path, "results.csv")
    assert float(row["accuracy"]) > 80
