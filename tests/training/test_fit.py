"""What a network and a recipe need of a data set, and the scaling of the pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.jobs import job
from support.own_data import CLASSES, TEST, images

from common.data.augment import Affine, Elastic, ZoomCrop
from common.data.batches import Scaling
from common.data.datasets import DataError, Dataset, Digits, hold_out
from common.data.moment_normalization import MomentNormalization
from common.model.schedule import Linear
from common.model.spec import Dense, Flatten, ModelSpec
from common.training.fit import fitted
from common.training.job import Job

THINGS = Dataset("things@0123456789ab", Digits(*images()), Digits(*images(each=TEST)), CLASSES)
COLOURED = ModelSpec("coloured", (Flatten(), Dense(5)), input_shape=(3, 20, 24))


def a_job(**changes: Any) -> Job:
    planned = job("tf-model-1", 1, spec=COLOURED)
    recipe = replace(planned.recipe, mean=0.1307, std=0.3081, batch_size=8)
    return replace(planned, recipe=replace(recipe, **changes))


def scaling(planned: Job, dataset: Dataset = THINGS) -> Scaling:
    return fitted(planned, dataset).execution.scaling


def test_pixels_are_scaled_by_the_data_unless_the_recipe_has_its_own_numbers() -> None:
    pixels = THINGS.train.images / 255
    of_data = scaling(a_job())
    assert (of_data.mean, of_data.std) == pytest.approx((pixels.mean(), pixels.std()))
    inputs = (THINGS.train.images * of_data.factor + of_data.shift).ravel()
    assert (inputs.mean(), inputs.std()) == pytest.approx((0, 1))
    for mean, std in ((0.0, 1.0), (0.5, 0.3081), (0.1307, 0.5)):
        assert scaling(a_job(mean=mean, std=std)) == Scaling(mean, std)
    assert scaling(a_job(), replace(THINGS, name="fashion-mnist")) == Scaling(0.1307, 0.3081)


def test_of_data_with_images_held_out_the_scaling_is_that_of_the_others() -> None:
    held = replace(hold_out(replace(THINGS, classes=CLASSES), 5), name=f"{THINGS.name}-validation-5")
    assert scaling(a_job(), held).mean == pytest.approx(THINGS.train.images[:-5].mean() / 255)


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "shape": (
        {"spec": ModelSpec("digits", (Flatten(), Dense(10)))},
        "digits requires images of shape (1, 28, 28); those of things@0123456789ab have (3, 20, 24).",
    ),
    "outputs": (
        {"spec": replace(COLOURED, layers=(Flatten(), Dense(4)))},
        "has 4 outputs, fewer than the 5 classes",
    ),
    "batch": ({"batch_size": 61}, "The batch size 61 is more than the 60 training images"),
    "steps": ({"schedule_epochs": 10**8}, "700,000,000 steps; at most"),
    "rate": (
        {"schedule": Linear((0, 5), (0.0, 1.0)), "epochs": 1, "schedule_epochs": 1},
        "Linear(epochs=(0,5) factors=(0.0,1.0)) gives each of the 1 epochs the learning rate 0",
    ),
    "moments": ({"moments": MomentNormalization()}, "moment normalisation is for grey images"),
    "shifts": ({"tta_shift": 20}, "tta_shift=20 is too large"),
    "zoom": ({"augment": Affine(zoom=ZoomCrop(21, 0.5))}, "augment.zoom.side=21 is too large"),
    "translation": ({"augment": Affine(translation=21.0)}, "augment.translation=21 is too large"),
    "knots": ({"augment": Affine(elastic=Elastic(1.0, knots=21))}, "augment.elastic.knots=21 is too large"),
}


@pytest.mark.parametrize("changes, reason", MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_refused_in_a_sentence(changes: dict[str, Any], reason: str) -> None:
    of_job = {name: value for name, value in changes.items() if name in ("spec", "schedule_epochs")}
    of_recipe = {name: value for name, value in changes.items() if name not in of_job}
    with pytest.raises(DataError) as caught:
        fitted(replace(a_job(**of_recipe), **of_job), THINGS)
    assert reason in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_class_that_is_held_out_as_a_whole_is_named() -> None:
    held = replace(hold_out(THINGS, 12), name=f"{THINGS.name}-validation-12")
    with pytest.raises(DataError, match=r"no training image of the class egg: the last ones are held out"):
        fitted(a_job(), held)


def test_images_without_any_difference_are_refused() -> None:
    black = Digits(np.zeros_like(THINGS.train.images), THINGS.train.labels)
    with pytest.raises(DataError, match="All pixels of the training images are equal"):
        fitted(a_job(), replace(THINGS, train=black))
