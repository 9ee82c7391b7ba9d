"""`common.training.run` in both frameworks: a resumed run is the run that never stopped, and a checkpoint of
one framework serves the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import worker
from support.jobs import job

from common.data.batches import Scaling
from common.data.datasets import Dataset, Digits, load
from common.model.recipe import Recipe, recipe_hash
from common.model.schedule import Constant, Linear, OneCycle, StepDecay, rates
from common.model.zoo import ZOO
from common.tables import store
from common.training import checkpoint, initial_weights
from common.training.backend import Execution, Precision
from common.training.job import Job, Part

HalfRun = Callable[[str, str], checkpoint.Checkpoint]


def execute(framework: str, dataset: Dataset, job: Job) -> checkpoint.Checkpoint:
    """The checkpoint of a run of a framework."""
    assert job.save_model
    assert worker.run(framework, "execute", dataset=dataset, job=job) == "ok"
    return checkpoint.read(job.save_model)


def interrupt_in_second_epoch(framework: str, dataset: Dataset, job: Job) -> checkpoint.Checkpoint:
    """The checkpoint of the last whole epoch of a run of a framework."""
    assert job.last_epoch
    ended = worker.run(framework, "execute", dataset=dataset, job=job, interrupt_at="epoch 2/2  step")
    assert ended == "interrupted"
    return checkpoint.read(job.last_epoch)


@pytest.fixture(scope="module")
def half_run(few_digits: Dataset, mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> HalfRun:
    """The checkpoint that a run of two epochs on few digits, tested on all of them, leaves when it is
    interrupted in the second one."""

    @cache
    def run(framework: str, name: str) -> checkpoint.Checkpoint:
        folder = tmp_path_factory.mktemp("half")
        job = resumable_job(name, 2, results=folder, save_model=folder / "half.safetensors")
        return interrupt_in_second_epoch(framework, Dataset("mnist", few_digits.train, mnist.test), job)

    return run


RECIPES: dict[str, Recipe] = {
    "nextjournal": ZOO["nextjournal"].recipe,
    "under-5k": ZOO["under-5k"].recipe,
    "smallest": ZOO["smallest"].recipe,
    "tf-model-1": replace(ZOO["examples-cnn"].recipe, batch_size=128),
}
"""Recipes for networks of the zoo; together they have every optimizer, schedules of rate and momentum,
dropout, spatial dropout, BatchNorm, groups, augmented and moment-normalised images, convolutions before dense
layers."""


def resumable_job(name: str, epochs: int, **changes: Any) -> Job:
    """A run that ends with the mean of the weights after its last epoch, so of one set of weights."""
    return job(name, epochs, recipe=replace(RECIPES[name], epochs=epochs, averaged_epochs=1), **changes)


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("name", RECIPES)
def test_resumed_run_is_the_run_in_one_go(
    framework: str, name: str, few_digits: Dataset, tmp_path: Path, half_run: HalfRun
) -> None:
    """Byte for byte: dropout masks, BatchNorm statistics, slots, schedule and augmented images continue."""
    whole = resumable_job(name, 2, results=tmp_path, save_model=tmp_path / "whole.safetensors")
    expected = execute(framework, few_digits, whole).state
    half = half_run(framework, name).state
    rest = replace(whole, start=half, start_epoch=1, save_model=tmp_path / "rest.safetensors")
    execute(framework, few_digits, rest)
    assert (tmp_path / "rest.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert expected["optimizer.step"] == 2 * (2000 // RECIPES[name].batch_size)


@pytest.mark.slow
@pytest.mark.parametrize("trained_in", worker.FRAMEWORKS)
@pytest.mark.parametrize("name", RECIPES)
def test_checkpoint_is_as_good_in_the_other_framework(
    trained_in: str, name: str, few_digits: Dataset, mnist: Dataset, half_run: HalfRun
) -> None:
    """The same test accuracy to the last digit, and training goes on there."""
    state = half_run(trained_in, name).state
    started = replace(resumable_job(name, 1), start=state)
    accuracies = {
        framework: worker.run(framework, "accuracy", dataset=mnist, job=started)
        for framework in worker.FRAMEWORKS
    }
    assert accuracies["pytorch"] == accuracies["tensorflow"]
    other = next(framework for framework in worker.FRAMEWORKS if framework != trained_in)
    onward = replace(resumable_job(name, 2), start=state, start_epoch=1)
    assert worker.run(other, "execute", dataset=few_digits, job=onward) == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_other_precisions_train(
    framework: str, precision: Precision, few_digits: Dataset, tmp_path: Path
) -> None:
    """On a batch alone: bfloat16 is slow on most processors."""
    batch = Digits(few_digits.train.images[:128], few_digits.train.labels[:128])
    planned = job("under-8k", 1, execution=Execution(precision=precision), results=tmp_path)
    dataset = Dataset("mnist", batch, batch)
    assert worker.run(framework, "execute", dataset=dataset, job=planned) == "ok"
    (row,) = store.rows(tmp_path, "results.csv")
    assert row["precision"] == precision
    assert 1 < float(row["loss"]) < 4


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_a_rate_that_explodes_is_recorded(framework: str, few_digits: Dataset, tmp_path: Path) -> None:
    recipe = replace(ZOO["nextjournal"].recipe, lr=1e38, epochs=1)
    exploding = job("nextjournal", 1, recipe=recipe, results=tmp_path)
    assert worker.run(framework, "execute", dataset=few_digits, job=exploding) == "diverged"
    assert [row["status"] for row in store.rows(tmp_path, "results.csv")] == ["diverged"]


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_clothes_train_too(framework: str, tmp_path: Path) -> None:
    """Fashion-MNIST, real: downloaded where it is not in the cache yet."""
    dataset = load("fashion-mnist")
    recipe = replace(ZOO["tf-model-1"].recipe, epochs=1)
    execution = Execution(scaling=Scaling(recipe.mean, recipe.std))
    clothes = job("tf-model-1", 1, execution=execution, results=tmp_path, log_interval=100)
    assert worker.run(framework, "execute", dataset=dataset, job=clothes) == "ok"
    (row,) = store.rows(tmp_path, "results.csv")
    assert row["dataset"] == "fashion-mnist"
    assert 75 < float(row["accuracy"]) < 90


def test_recipe_hash_tells_a_start_from_a_checkpoint() -> None:
    entry = ZOO["tf-model-1"]
    plain = job("tf-model-1", entry.recipe.epochs)
    zoo = recipe_hash(entry.spec, entry.recipe)
    assert plain.recipe_hash("pytorch") == plain.recipe_hash("tensorflow") == zoo
    started = replace(plain, start=initial_weights.initial(entry.spec, 1))
    digest = started.recipe_hash("pytorch")
    assert digest not in (zoo, replace(plain, start={}).recipe_hash("pytorch"))
    # A whole state continues the run that it comes from, whatever that one began with.
    resumed = replace(started, start_epoch=1)
    assert resumed.recipe_hash("pytorch") == zoo
    assert replace(resumed, origin=started.start_digest).recipe_hash("pytorch") == digest


SCHEDULES = {
    "none": Constant(),
    "decay": StepDecay(0.7),
    "line": Linear((0, 4), (1.0, 0.0)),
    "cycle": OneCycle(momentum=None),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("epochs", [2, 4, 8])
@pytest.mark.parametrize("spans", [(2,), (4,), (8,), (4, 4), (4, 8), (8, 8), (2, 8)], ids=str)
def test_a_digest_is_the_recipes_own_where_all_rates_are(
    name: str, epochs: int, spans: tuple[int, ...]
) -> None:
    """Of a run in one part, or in two of half the epochs each, whose schedules had those spans."""
    spec = ZOO["tf-model-1"].spec
    recipe = replace(ZOO["tf-model-1"].recipe, schedule=SCHEDULES[name], epochs=epochs)
    if max(spans) < epochs:
        return
    parts = [
        Part(epochs=epochs // 2, schedule_epochs=max(span, epochs // 2), framework="pytorch")
        for span in spans[:-1]
    ]
    last = max(spans[-1], epochs)
    run = job("tf-model-1", epochs, recipe=recipe, schedule_epochs=last, earlier_parts=tuple(parts))
    ends = [0, *(part.epochs for part in parts), epochs]
    lengths = [*(part.schedule_epochs for part in parts), last]
    trained = [
        rates(recipe.schedule, lr=1.0, epochs=length, steps=3)[3 * start : 3 * end]
        for length, start, end in zip(lengths, ends, ends[1:], strict=False)
    ]
    same = np.array_equal(np.concatenate(trained), rates(recipe.schedule, lr=1.0, epochs=epochs, steps=3))
    assert (run.recipe_hash("pytorch") == recipe_hash(spec, recipe)) == same


def test_a_part_by_another_framework_or_number_of_processes_changes_the_digest() -> None:
    plain = job("tf-model-1", 8)
    half = {"epochs": 4, "schedule_epochs": 8, "framework": "pytorch"}
    alike, several = Part(**half), Part(**half, processes=2)  # type: ignore[arg-type]
    digests = [
        replace(plain, earlier_parts=(alike,)).recipe_hash("pytorch"),
        replace(plain, earlier_parts=(alike,)).recipe_hash("tensorflow"),
        replace(plain, earlier_parts=(several,)).recipe_hash("pytorch"),
    ]
    assert digests[0] == plain.recipe_hash("pytorch")
    assert len(set(digests)) == 3
