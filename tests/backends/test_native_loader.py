"""How steps are run: bytes scaled in the framework, each framework's own loader, compiled networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import worker
from support.jobs import job
from support.networks import without_dropout

from common.data.batches import Scaling, normalise
from common.data.datasets import Dataset, Digits
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.model.zoo import ZOO
from common.tables import store
from common.training.backend import Execution, LoaderOptions

MODEL = {"spec": ZOO["tf-model-1"].spec, "optimizer": SGD()}
SCALING = Scaling(0.1307, 0.3081)


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("name", ["tf-model-1", "nextjournal"])  # one of them is compiled in TensorFlow
def test_bytes_are_scaled_as_normalise_does(
    framework: str, precision: str, tolerance: float, name: str, few_digits: Dataset
) -> None:
    """The first loss from bytes is that from the same images normalised."""
    digits = few_digits.train
    given = {
        "spec": without_dropout(ZOO[name].spec),
        "optimizer": SGD(),
        "precision": precision,
        "labels": digits.labels.astype(np.int64),
        "order": np.arange(128).reshape(2, 64),
        "rate": np.zeros(2),
    }
    floats = normalise(digits.images, SCALING, dtype=precision)
    expected = worker.run(framework, "steps", images=floats, **given)["losses"]
    losses = worker.run(framework, "steps", images=digits.images[:, None], scaling=SCALING, **given)["losses"]
    np.testing.assert_allclose(losses, expected, rtol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_own_loader_brings_the_same_pixels(framework: str, smoothing: float, few_digits: Dataset) -> None:
    """A batch of all images has the same loss in any order, so its step is that of our own batch."""
    digits = Digits(few_digits.train.images[:200], few_digits.train.labels[:200])
    own = worker.run(
        framework,
        "own_epoch",
        **{
            "digits": digits,
            "rate": np.array([0.1]),
            "batch_size": 200,
            "scaling": SCALING,
            "feed": LoaderOptions(),
        },
        **MODEL,
        smoothing=smoothing,
    )
    ours = worker.run(
        framework,
        "steps",
        **{"images": digits.images[:, None], "labels": digits.labels.astype(np.int64), "scaling": SCALING},
        **{"order": np.arange(200)[None], "rate": np.array([0.1])},
        **MODEL,
        smoothing=smoothing,
    )
    np.testing.assert_allclose(own["losses"], ours["losses"], rtol=1e-5)
    assert own["correct"].sum() == pytest.approx(ours["correct"].sum())
    for name, array in ours["state"].items():
        if not name.startswith("random"):
            np.testing.assert_allclose(own["state"][name], array, rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_own_loader_shuffles_by_its_seed_and_drops_the_rest(framework: str, few_digits: Dataset) -> None:
    digits = Digits(few_digits.train.images[:230], few_digits.train.labels[:230])
    given = {"digits": digits, "rate": np.full(3, 0.1), "batch_size": 64, "feed": LoaderOptions(), **MODEL}
    states = [worker.run(framework, "own_epoch", loader_seeds=[seed], **given)["state"] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(states[0]["dense1.weight"], states[1]["dense1.weight"])
    assert np.abs(states[0]["dense1.weight"] - states[2]["dense1.weight"]).max() > 1e-6
    assert states[0]["optimizer.step"] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "framework, feed, label",
    [
        ("pytorch", LoaderOptions(), "native"),
        ("pytorch", LoaderOptions(num_workers=1), "native(num_workers=1)"),
        ("tensorflow", LoaderOptions(), "native"),
        ("tensorflow", LoaderOptions(num_workers=2), "native(num_workers=2)"),
    ],
)
def test_run_with_the_own_loader_learns_and_says_so(
    framework: str, feed: LoaderOptions, label: str, few_digits: Dataset, tmp_path: Path
) -> None:
    execution = Execution(loader=feed, scaling=Scaling(0.0, 1.0))
    planned = job("tf-model-1", 2, results=tmp_path, execution=execution)
    recipe = replace(planned.recipe, batch_size=16)
    assert worker.run(framework, "execute", dataset=few_digits, job=replace(planned, recipe=recipe)) == "ok"
    (row,) = store.rows(tmp_path, "results.csv")
    assert row["loader"] == label
    assert float(row["accuracy"]) > 80
    epochs = store.rows(tmp_path, "epochs.csv")
    assert float(epochs[-1]["train_loss"]) < float(epochs[1]["train_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_own_loader_follows_a_schedule_of_rate_and_momentum(framework: str, few_digits: Dataset) -> None:
    """Steps at rate 0 move no weights, whatever the momentum; steps at rate 0.1 do, as far as it says."""
    digits = Digits(few_digits.train.images[:128], few_digits.train.labels[:128])
    given = {"digits": digits, "batch_size": 32, "feed": LoaderOptions(), "spec": MODEL["spec"]}
    given |= {"optimizer": SGD(momentum=0.5)}
    rates = np.array([0.1, 0, 0, 0])
    kernels = [
        worker.run(framework, "own_epoch", rate=rate, momentum=np.full(4, momentum), **given)["state"][
            "dense2.weight"
        ]
        for rate, momentum in ((rates, 0.0), (rates, 0.9), (np.full(4, 0.1), 0.0), (np.full(4, 0.1), 0.9))
    ]
    np.testing.assert_allclose(kernels[0], kernels[1], rtol=1e-6)  # the rate is outside the velocity
    assert np.abs(kernels[0] - kernels[2]).max() > 1e-4
    assert np.abs(kernels[2] - kernels[3]).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_an_epoch_has_the_order_of_its_seed_whatever_came_before(framework: str, few_digits: Dataset) -> None:
    """As a run has that is resumed before it."""
    digits = Digits(few_digits.train.images[:256], few_digits.train.labels[:256])
    given = {"digits": digits, "batch_size": 32, "feed": LoaderOptions(), **MODEL, "rate": np.full(8, 0.1)}
    whole = worker.run(framework, "own_epoch", loader_seeds=(1, 2), **given)["state"]
    first = worker.run(framework, "own_epoch", **given)["state"]
    resumed = worker.run(framework, "own_epoch", loader_seeds=(2,), state=first, **given)["state"]
    other = worker.run(framework, "own_epoch", loader_seeds=(3,), state=first, **given)["state"]
    np.testing.assert_array_equal(resumed["dense2.weight"], whole["dense2.weight"])
    assert np.abs(other["dense2.weight"] - whole["dense2.weight"]).max() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
def test_masks_from_numpy_are_for_every_precision(framework: str, few_digits: Dataset) -> None:
    digits = few_digits.train
    given = {"images": digits.images[:, None], "labels": digits.labels.astype(np.int64), "scaling": SCALING}
    given |= {"order": np.arange(64)[None], "rate": np.array([0.1])}
    model = {"spec": ZOO["nextjournal"].spec, "optimizer": SGD(), "masks": 1}
    half, single = (
        worker.run(framework, "steps", precision=precision, **given, **model)["losses"][0]
        for precision in ("bfloat16", "float32")
    )
    assert half == pytest.approx(single, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("optimizer", [SGD(momentum=0), Adam(beta1=0), Adadelta(rho=0)], ids=repr)
def test_constants_may_be_whole_numbers(framework: str, optimizer: Optimizer, few_digits: Dataset) -> None:
    digits = few_digits.train
    given = {"images": digits.images[:, None], "labels": digits.labels.astype(np.int64), "scaling": SCALING}
    given |= {"order": np.arange(64)[None], "rate": np.array([0.1])}
    losses = worker.run(framework, "steps", **given, spec=MODEL["spec"], optimizer=optimizer)["losses"]
    assert np.isfinite(losses).all()


def test_masks_from_numpy_are_not_compiled_by_xla() -> None:
    model = {"spec": ZOO["nextjournal"].spec, "optimizer": ZOO["nextjournal"].recipe.optimizer}
    for masks, compiled in ((None, True), (1, False)):
        assert worker.run("tensorflow", "is_compiled", compiled=True, masks=masks, **model) == compiled


@pytest.mark.slow
@pytest.mark.parametrize("framework, name", [("pytorch", "tf-model-1"), ("tensorflow", "nextjournal")])
def test_compiled_steps_are_the_steps(framework: str, name: str, few_digits: Dataset) -> None:
    """Of a network that is not compiled by default."""
    given = {
        "spec": without_dropout(ZOO[name].spec),
        "optimizer": ZOO[name].recipe.optimizer,
        "scaling": SCALING,
        "images": few_digits.train.images[:, None],
        "labels": few_digits.train.labels.astype(np.int64),
        "order": np.arange(300).reshape(3, 100),
        "rate": np.full(3, 1e-3),
    }
    plain, compiled = (worker.run(framework, "steps", compiled=flag, **given) for flag in (False, True))
    np.testing.assert_allclose(compiled["losses"], plain["losses"], rtol=1e-4)
    np.testing.assert_array_equal(compiled["correct"], plain["correct"])
    assert compiled["state"].keys() == plain["state"].keys()
    for name, array in plain["state"].items():
        if not name.startswith("random."):
            np.testing.assert_allclose(compiled["state"][name], array, rtol=1e-3, atol=1e-5)
    model = {"spec": given["spec"], "optimizer": given["optimizer"]}
    assert [worker.run(framework, "is_compiled", compiled=flag, **model) for flag in (False, True)] == [
        False,
        True,
    ]


@pytest.mark.parametrize("framework", worker.FRAMEWORKS)
@pytest.mark.parametrize("name, dense", [("tf-model-1", True), ("mlp-tuned", True), ("nextjournal", False)])
def test_by_default_tensorflow_compiles_dense_networks_and_pytorch_nothing(
    framework: str, name: str, dense: bool
) -> None:
    """As `common.report.answer.COMPILED` reports it."""
    model = {"spec": ZOO[name].spec, "optimizer": ZOO[name].recipe.optimizer}
    assert worker.run(framework, "is_compiled", **model) == (dense and framework == "tensorflow")


@pytest.mark.parametrize(
    "optimizer", [SGD(), SGD(momentum=0.9), SGD(momentum=0.9, nesterov=True), Adam(), Adadelta()], ids=repr
)
def test_a_compiled_update_is_that_of_pytorch(optimizer: Optimizer, random: np.random.Generator) -> None:
    given = {"optimizer": optimizer, "start": random.normal(size=7), "gradients": random.normal(size=(5, 7))}
    plain, compiled = worker.run("pytorch", "compiled_updates", rates=[0.1, 0.2, 0.0, 0.3, 0.1], **given)
    np.testing.assert_allclose(compiled, plain, rtol=1e-12)


@pytest.mark.slow
def test_steps_of_a_compiled_graph_can_be_any_number(few_digits: Dataset) -> None:
    """XLA's graph takes 128 in a call: 1, 128 and 131 steps are what as many calls of one are."""
    given = {
        **{"spec": MODEL["spec"], "optimizer": SGD(momentum=0.9), "scaling": SCALING},
        "images": few_digits.train.images[:, None],
        "labels": few_digits.train.labels.astype(np.int64),
    }
    order = np.arange(131 * 15).reshape(131, 15) % 2000
    rate, momentum = np.linspace(0.01, 0, 131), np.linspace(0.9, 0.5, 131)
    whole = worker.run("tensorflow", "steps", order=order, rate=rate, momentum=momentum, **given)
    for count in (1, 128):
        part = {"order": order[:count], "rate": rate[:count], "momentum": momentum[:count]}
        first = worker.run("tensorflow", "steps", **part, **given)
        np.testing.assert_array_equal(first["losses"], whole["losses"][:count])
        np.testing.assert_array_equal(first["correct"], whole["correct"][:count])
    assert whole["state"]["optimizer.step"] == 131
