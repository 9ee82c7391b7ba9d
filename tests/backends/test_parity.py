"""The two frameworks against each other, through plain arrays: the same program in double precision.

Rounding grows step by step, so in float32 two correct programs part; in float64 they must not.
"""

from __future__ import annotations

import numpy as np
import pytest
from support import worker
from support.networks import VOCABULARY, without_dropout

from common.data.augment import augmented
from common.data.batches import Scaling, epoch_order
from common.data.datasets import Dataset
from common.model import schedule
from common.model.entry import Entry
from common.model.zoo import ENTRIES
from common.training import checkpoint, initial_weights

STEPS, PLAIN_STEPS = 100, 10
BATCH_SIZE, NORMALISED_BATCH_SIZE = 16, 32
"""Images of each of the recipe's batches that are trained on, at most: more show no other formula. Statistics
of fewer let rounding grow faster."""

pytestmark = pytest.mark.slow

as_it_is_or_plain = pytest.mark.parametrize("plain", [False, True], ids=["as it is", "fast.py emptied"])


@pytest.mark.parametrize(
    "entry, plain",
    [
        *((entry, plain) for entry in ENTRIES for plain in (False, True)),
        (VOCABULARY, False),
    ],
    ids=lambda value: getattr(value, "name", "fast.py emptied" if value else "as it is"),
)
def test_first_steps_of_the_recipe_are_the_same(entry: Entry, mnist: Dataset, plain: bool) -> None:
    """Each network with its own optimizer, schedule, order, augmentation and dropout, whose masks are given
    to both: 100 steps, and PLAIN_STEPS without what only makes them quicker. Also the kinds of layers that no
    network of the zoo has."""
    recipe, spec = entry.recipe, entry.spec
    whole_order = epoch_order(len(mnist.train.labels), batch_size=recipe.batch_size, seed=5, epoch=1)
    steps, count = len(whole_order), PLAIN_STEPS if plain else STEPS
    order = whole_order[:count, : NORMALISED_BATCH_SIZE if spec.statistics else BATCH_SIZE]
    used, index = np.unique(order, return_inverse=True)
    digits = recipe.preprocess(mnist.train.images[used])
    if recipe.augment:
        digits = augmented(digits, recipe.augment, seed=5, epoch=1)
    momenta = schedule.momenta(recipe.schedule, epochs=recipe.epochs, steps=steps)
    pytorch, tensorflow = worker.run_pair(
        "steps",
        plain=plain,
        spec=spec,
        optimizer=recipe.optimizer,
        precision="float64",
        masks=5,
        smoothing=recipe.label_smoothing,
        state=initial_weights.initial(spec, 5),
        images=digits[:, None],
        scaling=Scaling(recipe.mean, recipe.std),
        labels=mnist.train.labels[used].astype(np.int64),
        order=index.reshape(order.shape),
        rate=schedule.rates(recipe.schedule, lr=recipe.lr, epochs=recipe.epochs, steps=steps)[:count],
        momentum=None if momenta is None else momenta[:count],
        test=recipe.to_input(mnist.test.images[:100], dtype="float64"),
    )
    np.testing.assert_allclose(pytorch["losses"], tensorflow["losses"], rtol=1e-10)
    np.testing.assert_array_equal(pytorch["correct"], tensorflow["correct"])
    assert np.abs(pytorch["logits"] - tensorflow["logits"]).max() < 1e-10 * np.abs(pytorch["logits"]).max()
    if not plain:
        assert pytorch["losses"][-1] < pytorch["losses"][0]
    for name in checkpoint.state_shapes(spec, recipe.optimizer):
        scale = np.abs(pytorch["state"][name]).max() + 1e-30
        difference = np.abs(pytorch["state"][name] - tensorflow["state"][name]).max()
        assert difference < 1e-10 * max(scale, 1e-3), name


@as_it_is_or_plain
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_float32_starts_the_same(entry: Entry, few_digits: Dataset, plain: bool) -> None:
    """The first loss agrees to rounding, dropout off; what follows is rounding grown (see above)."""
    recipe, spec = entry.recipe, without_dropout(entry.spec)
    pytorch, tensorflow = worker.run_pair(
        "steps",
        plain=plain,
        spec=spec,
        optimizer=recipe.optimizer,
        images=few_digits.train.images[:64, None],
        scaling=Scaling(recipe.mean, recipe.std),
        labels=few_digits.train.labels[:64].astype(np.int64),
        order=np.arange(64)[None],
        rate=np.full(1, recipe.lr),
    )
    assert pytorch["losses"][0] == pytest.approx(tensorflow["losses"][0], rel=2e-5)
