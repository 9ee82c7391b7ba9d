"""`common.training.loop` and `evaluate` on a model written in NumPy: order, schedule, evaluation, divergence,
images of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from support.jobs import job
from support.recorder import Recorder, RecorderLoader

from common.data.augment import Affine, augmented
from common.data.batches import Scaling, epoch_order, normalise
from common.data.datasets import Dataset, Digits
from common.data.moment_normalization import MomentNormalization, normalize
from common.model.optimizer import SGD
from common.model.recipe import Recipe
from common.model.schedule import OneCycle, StepDecay
from common.model.zoo import ZOO
from common.training.evaluate import evaluate
from common.training.job import Job
from common.training.loop import Diverged, Epoch, Progress, train

Array = np.ndarray[Any, Any]
RECIPE = replace(ZOO["tf-model-1"].recipe, batch_size=64, epochs=3, lr=0.5, schedule=StepDecay(0.5))


def short_job(recipe: Recipe = RECIPE, **changes: Any) -> Job:
    fixed = {"schedule_epochs": recipe.epochs, "seed": 4, "log_interval": 10}
    return job("tf-model-1", recipe.epochs, **{"recipe": recipe, **fixed, **changes})


def run_loop(model: Recorder, dataset: Dataset, job: Job) -> tuple[list[Progress], list[Epoch]]:
    events = list(train(model, dataset, job))
    return [event for event in events if isinstance(event, Progress)], [
        event for event in events if isinstance(event, Epoch)
    ]


def test_every_epoch_is_trained_in_its_own_order_at_its_own_rate(few_digits: Dataset) -> None:
    model = Recorder()
    progress, epochs = run_loop(model, few_digits, short_job())
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3]
    orders = np.concatenate([call[2] for call in model.calls])
    rates = np.concatenate([call[3] for call in model.calls])
    steps = 2000 // 64
    expected = [epoch_order(2000, batch_size=64, seed=4, epoch=epoch) for epoch in (1, 2, 3)]
    np.testing.assert_array_equal(orders, np.concatenate(expected))
    np.testing.assert_array_equal(rates, np.repeat([0.5, 0.25, 0.125], steps))
    assert [len(call[2]) for call in model.calls[:5]] == [1, 9, 10, 10, 1]  # the first step is timed apart
    assert [event.step for event in progress] == [10, 20, 30, 31] * 3
    assert all(call[0] is model.calls[0][0] for call in model.calls), "one array in all epochs"


def test_a_native_loader_trains_each_epoch_at_its_rate_with_a_seed_of_its_own(few_digits: Dataset) -> None:
    model, loader = Recorder(), RecorderLoader()
    events = list(train(model, few_digits, short_job(), native_loader=loader))
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3]
    assert model.steps == 3 * (2000 // 64)
    rates, momenta, seeds = zip(*loader.calls, strict=True)
    np.testing.assert_array_equal(np.concatenate(rates), np.repeat([0.5, 0.25, 0.125], 2000 // 64))
    assert set(momenta) == {None}
    assert len(set(seeds)) == 3
    first = epochs[1].training
    assert first
    assert first.first_step_seconds is None, "its steps come all at once"


@pytest.mark.parametrize("interval", [1, 2, 30, 31, 1000])
def test_every_step_is_taken_once_whatever_the_interval(few_digits: Dataset, interval: int) -> None:
    model = Recorder()
    progress, _ = run_loop(model, few_digits, short_job(replace(RECIPE, epochs=1), log_interval=interval))
    order = epoch_order(2000, batch_size=64, seed=4, epoch=1)
    np.testing.assert_array_equal(np.concatenate([call[2] for call in model.calls]), order)
    assert min(len(call[2]) for call in model.calls) > 0
    assert [event.step for event in progress] == [*range(interval, 31, interval), 31]


def test_losses_and_accuracies_are_those_of_the_steps_and_of_the_test_set(few_digits: Dataset) -> None:
    _, epochs = run_loop(Recorder({1: 3.0}), few_digits, short_job())
    before, first, second, _ = epochs
    nines = 100 * float((few_digits.test.labels == 9).mean())
    logits = np.arange(10.0)
    losses = np.log(np.exp(logits).sum()) - logits[few_digits.test.labels]
    assert before.training is None
    assert before.test.accuracy == pytest.approx(nines)
    assert before.test.loss == pytest.approx(losses.mean(), rel=1e-12)
    assert first.training is not None
    assert second.training is not None
    assert first.training.loss == pytest.approx((3 + 30) / 31)
    assert (second.training.loss, second.training.accuracy, second.training.lr) == (1.0, 50.0, 0.25)
    assert first.training.first_step_seconds is not None
    assert second.training.first_step_seconds is None
    assert first.training.images == 31 * 64


@pytest.mark.parametrize("step", [1, 10, 11, 40])
@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_divergence_names_its_step(few_digits: Dataset, step: int, loss: float) -> None:
    epoch, of_epoch = (step - 1) // 31 + 1, (step - 1) % 31 + 1
    with pytest.raises(Diverged, match=rf"loss is {loss} at step {of_epoch} of epoch {epoch}:"):
        run_loop(Recorder({step: loss}), few_digits, short_job())


def test_momentum_and_rate_follow_the_whole_schedule_in_a_run_cut_short(few_digits: Dataset) -> None:
    recipe = replace(RECIPE, optimizer=SGD(momentum=0.9), schedule=OneCycle(), epochs=1)
    model = Recorder()
    run_loop(model, few_digits, short_job(recipe, schedule_epochs=15))
    rates = np.concatenate([call[3] for call in model.calls])
    momenta = np.concatenate([call[4] for call in model.calls if call[4] is not None])
    assert rates[0] == pytest.approx(0.5 / 25)
    assert rates.max() < 0.5 / 2, "15 epochs are planned: the first is all warm-up"
    assert momenta[0] == pytest.approx(0.95)
    assert len(momenta) == len(rates) == 31


@pytest.mark.parametrize("averaged, steps", [(0, None), (1, [93]), (2, [62, 93]), (9, [31, 62, 93])])
def test_the_network_tested_last_is_the_mean_of_the_last_epochs(
    few_digits: Dataset, averaged: int, steps: list[int] | None
) -> None:
    """Its weights and statistics, without optimizer and random states; only before the last test."""
    model = Averaging()
    run_loop(model, few_digits, short_job(replace(RECIPE, epochs=3, averaged_epochs=averaged)))
    if steps is None:
        assert model.loaded == []
        return
    ((tests, state),) = model.loaded
    assert tests == 3, "before the last test, after the one before training and two more"
    assert set(state) == {"weight"}
    np.testing.assert_array_equal(state["weight"], np.full(2, np.mean(steps), np.float32))
    assert state["weight"].dtype == np.float32


def test_the_last_test_has_test_time_augmentation(few_digits: Dataset) -> None:
    """Mean logits of each image and of its four shifts, after the last epoch or in the only test."""
    model = InkByRegion()
    _, epochs = run_loop(model, few_digits, short_job(replace(RECIPE, epochs=2, tta_shift=3)))
    assert [epoch.test.tta_accuracy is None for epoch in epochs] == [True, True, False]
    images = few_digits.test.images
    views = [images, *(np.zeros_like(images) for _ in range(4))]
    views[1][:, :-3], views[2][:, 3:] = images[:, 3:], images[:, :-3]
    views[3][:, :, :-3], views[4][:, :, 3:] = images[:, :, 3:], images[:, :, :-3]
    logits = sum(model.predict(view[:, None]) for view in views)
    correct = logits.argmax(axis=1) == few_digits.test.labels
    assert epochs[-1].test.tta_accuracy == pytest.approx(100 * correct.mean())
    assert abs(epochs[-1].test.tta_accuracy - epochs[-1].test.accuracy) > 0.1, "the views matter"
    _, (only,) = run_loop(model, few_digits, short_job(replace(RECIPE, epochs=0, tta_shift=3)))
    assert only.test.tta_accuracy == epochs[-1].test.tta_accuracy, "this model never learns"


class InkByRegion(Recorder):
    """Its logits are the mean ink in each of ten regions."""

    def predict(self, images: Array) -> Array:
        ink = images[:, 0].astype(np.float64) - images.min()
        return np.stack([ink[:, 2 * row : 2 * row + 3, row : row + 12].mean((1, 2)) for row in range(10)], 1)


class Averaging(Recorder):
    """Its weight is the number of its steps; records the states loaded into it, and after how many tests."""

    def __init__(self) -> None:
        super().__init__()
        self.tests, self.loaded = 0, list[tuple[int, dict[str, Any]]]()

    def predict(self, images: Any) -> Any:
        self.tests += 1
        return super().predict(images)

    def state_dict(self) -> dict[str, Any]:
        weight = np.full(2, self.steps, np.float32)
        return {"weight": weight, "optimizer.step": np.array(self.steps), "random.x": np.zeros(1)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.loaded.append((self.tests, dict(state)))


def test_augmented_images_are_those_of_their_epoch(few_digits: Dataset) -> None:
    augment = Affine(rotation=15.0)
    recipe = replace(RECIPE, augment=augment, epochs=2)
    model = Recorder()
    run_loop(model, few_digits, short_job(recipe))
    seen = [model.calls[0][0], model.calls[-1][0]]
    for epoch, images in enumerate(seen, start=1):
        warped = augmented(few_digits.train.images, augment, seed=4, epoch=epoch)
        np.testing.assert_array_equal(images, warped[:, None])


@pytest.mark.parametrize("augment", [None, Affine(rotation=15.0)], ids=str)
def test_images_are_moment_normalised_before_augmentation_and_for_tests(
    few_digits: Dataset, augment: Affine | None
) -> None:
    model = Recorder()
    target = MomentNormalization(0.5, 0.5)
    run_loop(model, few_digits, short_job(replace(RECIPE, moments=target, augment=augment, epochs=1)))
    normalized = Digits(normalize(few_digits.train.images, target), few_digits.train.labels)
    expected, plain = Recorder(), replace(few_digits, train=normalized)
    run_loop(expected, plain, short_job(replace(RECIPE, augment=augment, epochs=1)))
    np.testing.assert_array_equal(model.calls[0][0], expected.calls[0][0])
    recipe = replace(RECIPE, moments=target)
    few = few_digits.test.images[:5]
    expected_inputs = normalise(normalize(few, target), recipe.scaling)
    np.testing.assert_array_equal(recipe.to_input(few), expected_inputs)


def test_evaluation_does_not_depend_on_its_batch(few_digits: Dataset) -> None:
    scaled = partial(normalise, scaling=Scaling())
    images, labels = few_digits.test.images, few_digits.test.labels.astype(np.int64)
    parts = [evaluate(Recorder(), images, labels, scaled, batch_size=size) for size in (1, 77, 500, 9999)]
    assert len({(part.loss, part.accuracy) for part in parts}) == 1


def test_shifted_views_of_colour_images_are_predicted(few_digits: Dataset) -> None:
    class Brightest(Recorder):
        """Predicts the channel with the most light in the top row."""

        def predict(self, images: Array) -> Array:
            return images[:, :, 0].sum(axis=2)

    images = np.zeros((2, 3, 4, 3), np.uint8)
    images[0, 0, :, 2] = 9
    images[1, 1, :, 1] = 9
    test = evaluate(
        Brightest(),
        images,
        np.array([2, 1]),
        partial(normalise, scaling=Scaling()),
        batch_size=2,
        tta_shift=1,
    )
    assert (test.accuracy, test.tta_accuracy) == (50, 100)
