"""Recipes are changed by assignments or refuse them with a reason; added fields keep recorded digests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.checked import RecipeError
from common.data.augment import Affine, RandomCrop, ZoomCrop
from common.data.moment_normalization import MomentNormalization
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.model.overrides import with_overrides
from common.model.recipe import Recipe, recipe_hash
from common.model.schedule import OneCycle, StepDecay
from common.model.zoo import ZOO

RECIPE = ZOO["under-5k"].recipe
CROP = RandomCrop(area=(0.85, 1.0), aspect=(3 / 4, 4 / 3))


def test_digests_of_recorded_runs_hold() -> None:
    """As recorded in the tables: a new field must not change them."""
    hashes = {name: recipe_hash(entry.spec, entry.recipe) for name, entry in ZOO.items()}
    assert hashes["tf-model-1"] == "975137194270"
    assert hashes["speedrun"] == "c69e025154ef"


def test_an_added_field_changes_the_digest_once_it_is_used() -> None:
    spec = ZOO["under-5k"].spec
    hashes = {recipe_hash(spec, with_overrides(RECIPE, [change])) for change in CHANGES}
    assert len(hashes | {recipe_hash(spec, RECIPE)}) == len(CHANGES) + 1


CHANGES = {
    "epochs=20": ("epochs", 20),
    "label_smoothing=0.1": ("label_smoothing", 0.1),
    "averaged=3": ("averaged_epochs", 3),
    "shifted=1": ("tta_shift", 1),
    "moments=Moments(0.5,0.3)": ("moments", MomentNormalization(0.5, 0.3)),
    "moments.width=0.5": ("moments", MomentNormalization(width=0.5)),
    "schedule=OneCycle(warm_up=0.25,momentum=None)": ("schedule", OneCycle(warm_up=0.25, momentum=None)),
    "schedule=StepDecay(0.7)": ("schedule", StepDecay(0.7)),
    "schedule.factors=(1,1,1,1)": ("schedule", type(RECIPE.schedule)((0, 2, 5, 12), (1, 1, 1, 1))),
    "optimizer=SGD(momentum=0.9,nesterov=True)": ("optimizer", SGD(momentum=0.9, nesterov=True)),
    "augment=none": ("augment", None),
    "augment=Affine(rotation=3.0)": ("augment", Affine(rotation=3.0)),
    "augment.rotation=12": ("augment", Affine(crop=CROP, rotation=12.0)),
    "augment.probability=0.5": ("augment", Affine(crop=CROP, rotation=5.0, probability=0.5)),
    "augment.zoom=ZoomCrop(22,0.5)": ("augment", Affine(crop=CROP, zoom=ZoomCrop(22, 0.5), rotation=5.0)),
    "augment.crop.area=(0.5,1.0)": (
        "augment",
        Affine(crop=RandomCrop(area=(0.5, 1.0), aspect=(3 / 4, 4 / 3)), rotation=5.0),
    ),
}


@pytest.mark.parametrize("change, expected", CHANGES.items(), ids=CHANGES)
def test_a_change_changes_its_field_alone(change: str, expected: tuple[str, object]) -> None:
    name, value = expected
    changed = with_overrides(RECIPE, [change])
    assert getattr(changed, name) == value
    assert {**vars(changed), name: None} == {**vars(RECIPE), name: None}


def test_a_part_of_an_absent_choice_starts_from_the_defaults() -> None:
    recipe = with_overrides(ZOO["tf-model-1"].recipe, ["augment.rotation=12", "augment.translation=1"])
    assert recipe.augment == Affine(rotation=12.0, translation=1.0)


@pytest.mark.parametrize("optimizer", [SGD(), Adam(), Adadelta()], ids=repr)
def test_a_cycle_of_momentum_requires_an_optimizer_with_momentum(optimizer: Optimizer) -> None:
    with pytest.raises(RecipeError, match=r"write OneCycle\(momentum=None\)\.$"):
        replace(RECIPE, optimizer=optimizer, schedule=OneCycle())
    replace(RECIPE, optimizer=SGD(momentum=0.5), schedule=OneCycle())
    replace(RECIPE, optimizer=optimizer, schedule=OneCycle(momentum=None))


@pytest.mark.parametrize(
    "model, change, other",
    [
        ("under-8k", "optimizer=Adam()", "schedule=OneCycle(momentum=None)"),
        ("under-8k", "optimizer.momentum=0", "schedule.momentum=none"),
        ("under-5k", "schedule=OneCycle", "optimizer=SGD(momentum=0.9)"),
    ],
)
def test_changes_that_need_each_other_are_made_in_either_order(model: str, change: str, other: str) -> None:
    recipe = ZOO[model].recipe
    with pytest.raises(RecipeError, match=r"write OneCycle\(momentum=None\)\.$"):
        with_overrides(recipe, [change])
    assert with_overrides(recipe, [change, other]) == with_overrides(recipe, [other, change])


@pytest.mark.parametrize(
    "change, words",
    [
        ("lr", "FIELD=VALUE"),
        ("rate=1", "rate=1: Recipe has no rate; it has optimizer, lr,"),
        ("lr=fast", "lr=fast: fast is not a number."),
        ("epochs=2.5", "epochs=2.5: 2.5 is not a whole number."),
        ("epochs=True", "epochs=True: True is not a whole number."),
        ("schedule=Linear2", "Linear2 is not Constant or StepDecay or Linear or OneCycle."),
        ("schedule=StepDecay", "with values for gamma."),
        ("schedule=OneCycle(speed=1)", "with values for warm_up,"),
        ("schedule=OneCycle(__import__('os'))", "with values for"),
        ("schedule.gamma=2", "Linear has no gamma; it has epochs, factors."),
        ("epoch=2", "Recipe has no epoch; did you mean epochs?"),
        ("lr.x=1", "lr has no parts."),
        ("averaged_epochs.x=1", "averaged_epochs has no parts."),
        ("augment.zoom.side=3", "with values for side, probability."),
        ("schedule.factors=1", "1 is not a tuple."),
        ("std=0", "std=0.0"),
        ("label_smoothing=1", "label_smoothing=1.0"),
        ("averaged=-1", "averaged_epochs=-1"),
        ("shifted=4096", "tta_shift=4096"),
        ("lr=-1", "lr=-1.0"),
        ("batch_size=0", "batch_size=0"),
    ],
)
def test_an_invalid_change_is_refused_in_a_sentence(change: str, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        with_overrides(RECIPE, [change])
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(RECIPE, Recipe)


def test_a_part_of_a_choice_that_is_none_and_has_none_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"momentum has no parts\."):
        with_overrides(ZOO["speedrun"].recipe, ["schedule.momentum.low=0.9"])
