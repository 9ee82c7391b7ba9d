"""Mistakes of order, schedule and images change what they are named for, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.jobs import job
from support.recorder import Recorder

from common.data.batches import epoch_order
from common.data.datasets import Dataset
from common.model import schedule
from common.model.layers import AvgPool, Conv, Dense, Dropout, Flatten, GlobalAvgPool
from common.model.spec import Layer, ModelSpec, Residual
from common.model.zoo import ZOO
from common.training import mistakes
from common.training.loop import train
from common.training.mistaken import changed_job, padded, steps_changed
from common.training.mistakes import BY_NAME, FIRST, MISTAKES, REFERENCES, SECOND


def calls(name: str, digits: Dataset, epochs: int = 2) -> list[tuple[np.ndarray, ...]]:
    """Images, labels and rates of each step of a run with the mistake `name`."""
    planned = changed_job(name, job("nextjournal", epochs, log_interval=5))
    model = Recorder()
    list(train(steps_changed(name, model, planned), digits, planned))
    return [
        (images[batch], labels[batch], rate)
        for images, labels, order, rates, _ in model.calls
        for batch, rate in zip(order, rates, strict=True)
    ]


def test_without_shuffling_every_epoch_has_the_order_of_the_file(few_digits: Dataset) -> None:
    seen = calls("no-shuffling", few_digits)
    steps = len(few_digits.train) // 64
    assert len(seen) == 2 * steps
    for epoch in (0, 1):
        images = np.concatenate([batch for batch, *_ in seen[epoch * steps : (epoch + 1) * steps]])
        np.testing.assert_array_equal(images[:, 0], few_digits.train.images[: steps * 64])


def test_only_the_last_batch_of_the_last_epoch_keeps_its_pixels(few_digits: Dataset) -> None:
    *seen, last = calls("last-batch-unscaled", few_digits)
    assert {images.dtype for images, *_ in seen} == {np.dtype(np.uint8)}  # which the model scales
    order = epoch_order(len(few_digits.train), batch_size=64, seed=3, epoch=2)[-1]
    assert last[0].dtype == np.float32  # which it takes as they are
    np.testing.assert_array_equal(last[0][:, 0], few_digits.train.images[order])
    np.testing.assert_array_equal(last[1], few_digits.train.labels[order])
    assert len(seen) + 1 == 2 * (len(few_digits.train) // 64)


def test_a_schedule_stepped_per_epoch_has_the_rates_of_its_first_steps() -> None:
    planned = job("under-8k", 15)
    recipe = changed_job("schedule-per-epoch", planned).recipe
    steps = 60_000 // recipe.batch_size
    right = schedule.rates(planned.recipe.schedule, lr=recipe.lr, epochs=15, steps=steps)
    wrong = schedule.rates(recipe.schedule, lr=recipe.lr, epochs=15, steps=steps)
    np.testing.assert_allclose(wrong.reshape(15, steps), np.repeat(right[:15, None], steps, axis=1))


@pytest.mark.parametrize(
    "name, pixels", [("pixels-unscaled", (0, 255)), ("images-unnormalised", (0, 1))], ids=str
)
def test_images_of_the_test_are_scaled_otherwise(name: str, pixels: tuple[float, float]) -> None:
    scaling = changed_job(name, job("nextjournal", 1)).execution.scaling
    np.testing.assert_allclose(np.array([0, 255]) * scaling.factor + scaling.shift, pixels)


def test_strided_convolutions_are_padded_so_that_same_pads_otherwise() -> None:
    spec = padded(ZOO["speedrun"].spec)
    first, *others = spec.nodes()
    assert (first.layer.stride, first.layer.padding, first.output_shape) == (2, (3, 3), (16, 14, 14))
    assert spec.layers[1:4] == ZOO["speedrun"].spec.layers[1:4]
    assert padded(ZOO["nextjournal"].spec) == ZOO["nextjournal"].spec
    assert others


def test_mistakes_and_their_right_runs_are_named_once() -> None:
    assert len(BY_NAME) == len(MISTAKES) >= 12
    for framework in (FIRST, SECOND):
        for model in mistakes.MODELS:
            entry = ZOO[model]
            names = list(mistakes.runs(framework, entry.spec, entry.recipe))
            assert len(set(names)) == len(names)
            assert names[0] == mistakes.NONE
            for name in names:
                assert name in REFERENCES or names.index(BY_NAME[name].reference) < names.index(name)


def test_a_mistake_without_its_layer_is_left_out() -> None:
    entry = ZOO["tf-model-1"]
    names = {m.name for f in (FIRST, SECOND) for m in mistakes.applicable(f, entry.spec, entry.recipe)}
    left_out = {m.name for m in MISTAKES} - names
    assert left_out == {
        *("train-mode-forgotten", "eval-mode-forgotten", "batchnorm-momentum", "schedule-per-epoch"),
        *("images-unnormalised", "flatten-order", "padding-same-stride"),
    }
    constant = dataclasses.replace(ZOO["speedrun"].recipe, schedule=schedule.Constant())
    without = mistakes.applicable(FIRST, ZOO["speedrun"].spec, constant)
    assert "schedule-per-epoch" not in {mistake.name for mistake in without}


@pytest.mark.parametrize(
    "layers, name, applies",
    [
        ((Conv(4, 3), Flatten(), Dense(10)), "flatten-order", True),
        ((Conv(4, 3), Flatten(), Dropout(0.5), Dense(10)), "flatten-order", False),
        ((Conv(4, 3), GlobalAvgPool(), Flatten(), Dense(10)), "flatten-order", False),
        ((Conv(4, 3, stride=2), Flatten(), Dense(10)), "padding-same-stride", True),
        ((Conv(4, 4, stride=2), Flatten(), Dense(10)), "padding-same-stride", False),
        ((Conv(4, 1), Conv(4, 3, groups=4, stride=2), Flatten(), Dense(10)), "padding-same-stride", False),
        (
            (Residual(Conv(1, 3, stride=2), shortcut=(AvgPool(3, 2),)), Flatten(), Dense(10)),
            "padding-same-stride",
            False,
        ),
    ],
)
def test_a_mistake_applies_where_it_is_planted(layers: tuple[Layer, ...], name: str, applies: bool) -> None:
    recipe = ZOO["speedrun"].recipe
    found = mistakes.applicable(SECOND, ModelSpec("small", layers), recipe)
    assert (name in {mistake.name for mistake in found}) == applies


def test_mistakes_of_a_loss_are_not_of_smoothed_labels() -> None:
    entry = ZOO["mlp-tuned"]
    names = {m.name for f in (FIRST, SECOND) for m in mistakes.applicable(f, entry.spec, entry.recipe)}
    assert "loss-sum" in names
    assert names.isdisjoint({"loss-broadcast", "softmax-missing"})
