"""Figures of a network: what is computed from times, and that each framework yields them all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import worker
from support.jobs import job

from common.cli import profile
from common.data.batches import Scaling
from common.data.datasets import Dataset
from common.model.spec import Activation, BatchNorm, Conv, Dense, Flatten, ModelSpec
from common.training.backend import Execution

MEASURES = {
    *("step", "overhead", "preparation", "part", "gflops"),
    *("predict", "predict p50", "predict p99", "kernel"),
}


def test_parts_are_differences_of_stages() -> None:
    per_step = {"input": [1.0], "forward": [3.0], "backward": [7.0], "bare": [8.0], "whole": [10.0]}
    assert profile.parts(per_step) == {
        **{"input": [1.0], "forward": [2.0], "backward": [4.0]},
        **{"optimizer": [2.0], "rest": [1.0]},
    }


def test_parts_add_up_to_the_whole(random: np.random.Generator) -> None:
    per_step = {name: list(random.random(3)) for name in (*profile.STAGES, "whole")}
    sums = np.sum(list(profile.parts(per_step).values()), axis=0)
    np.testing.assert_allclose(sums, per_step["whole"])


def test_operations_leave_out_the_gradient_of_the_images() -> None:
    """2x2 positions of a 3x3 kernel, 1 to 2 channels: 72 multiply-adds; a dense layer 8 to 5: 40."""
    spec = ModelSpec("m", (Conv(2, 3), Flatten(), Dense(5)), input_shape=(1, 4, 4))
    assert profile.operations(spec, 10) == 2 * 10 * (72 * 2 + 40 * 3)


def test_each_option_is_timed_over_its_own_number_of_steps(
    monkeypatch: pytest.MonkeyPatch, few_digits: Dataset
) -> None:
    """A compiler that makes a step a thousand times as long gets few of them."""
    clock, steps = 0.0, {1e-3: 0, 1.0: 0}

    class Model:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def train_steps(self, images: object, labels: object, order: np.ndarray, rate: np.ndarray) -> None:
            nonlocal clock
            assert len(order) == len(rate)
            clock += len(order) * self.seconds
            steps[self.seconds] = len(order)

    monkeypatch.setattr(profile, "build", lambda _, job: Model(1.0 if job.execution.compiled else 1e-3))
    monkeypatch.setattr(profile.time, "perf_counter", lambda: clock)
    planned = job("tf-model-1", 3, execution=Execution(compiled=True))
    figures = list(profile.profile(None, few_digits, planned))  # type: ignore[arg-type]
    assert steps[1.0] < steps[1e-3] < len(few_digits.train)
    values = {figure.arm: figure.value for figure in figures if figure.measure == "option"}
    assert values == pytest.approx({"default": 1.0, "compile": 1000.0, "bfloat16": 1.0})


def test_single_images_have_the_precision_of_the_network(few_digits: Dataset) -> None:
    types = set()

    class Model:
        def predict(self, images: np.ndarray) -> None:
            types.add(images.dtype)

    planned = job("tf-model-1", 3, execution=Execution(precision="float64"))
    list(profile._prediction(Model(), few_digits, planned))  # type: ignore[arg-type]
    assert types == {np.dtype("float64")}


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("name", ["under-5k", "tf-model-1"])
def test_every_figure_is_measured(framework: str, name: str, few_digits: Dataset) -> None:
    """Of a small network with images that are augmented, and of one that TensorFlow compiles."""
    planned = job(name, 3, execution=Execution(scaling=Scaling(0.1, 0.3)))
    if name == "under-5k":
        small = ModelSpec("small", (Conv(4, 3), BatchNorm(), Activation(), Flatten(), Dense(10)))
        planned = replace(planned, spec=small)
    figures = worker.run(framework, "profile", dataset=few_digits, job=planned)
    missing = set() if name == "under-5k" else {"preparation"}
    if (framework, name) == ("tensorflow", "tf-model-1"):
        missing |= {"kernel"}  # XLA makes one of all
    assert {figure.measure for figure in figures} == MEASURES - missing
    batches = {figure.arm for figure in figures if figure.measure == "predict"}
    assert batches == {"batch 1", "batch 100"}, "there are 500 test images"
    for figure in figures:
        assert figure.low <= figure.value <= figure.high
        assert figure.value > 0 or figure.measure == "part"
    arms = {(figure.measure, figure.arm) for figure in figures}
    assert {
        ("overhead", "epoch"),
        ("gflops", "training"),
        ("gflops", "product"),
        ("part", "backward"),
    } <= arms
