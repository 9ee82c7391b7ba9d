"""Every layer, optimizer, schedule and augmentation refuses wrong types and values when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from common import model
from common.checked import Checked, RecipeError
from common.model import (
    SGD,
    Activation,
    Adadelta,
    Adam,
    Affine,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Dropout,
    Elastic,
    Flatten,
    GroupNorm,
    Linear,
    MaxPool,
    ModelSpec,
    MomentNormalization,
    OneCycle,
    RandomCrop,
    Recipe,
    Recorded,
    Residual,
    SpatialDropout,
    StepDecay,
    ZoomCrop,
)
from common.model.layers import LayerKind
from common.model.overrides import with_overrides
from common.model.spec import SpecError
from common.model.zoo import ZOO

NOT_FINITE = float("nan"), float("inf"), 10**400
KINDS = [kind for name in model.__all__ if (kind := getattr(model, name)) is not model.Entry]


RECIPE = ZOO["tf-model-1"].recipe
LAYERS = (Flatten(), Dense(10))
CROP = {"area": (0.5, 1.0), "aspect": (0.5, 2.0)}
VALID: dict[type, dict[str, Any]] = {
    Conv: {"out_channels": 4, "kernel_size": 3},
    MaxPool: {"kernel_size": 3},
    GroupNorm: {"groups": 2},
    Residual: {"layers": (Activation(),)},
    AvgPool: {"kernel_size": 3},
    Dense: {"out_features": 10},
    ModelSpec: {"name": "m", "layers": LAYERS},
    RandomCrop: CROP,
    ZoomCrop: {"side": 22, "probability": 0.5},
    Elastic: {"displacement": 0.5},
    Recorded: {"mean": 99.0, "sd": 0.1, "seeds": 10},
    Linear: {"epochs": (0, 1), "factors": (1, 0)},
    Recipe: vars(RECIPE),
}
"""Values of the fields that have no default."""

WRONG: dict[type, dict[str, tuple[Any, ...]]] = {
    Conv: {
        "out_channels": (0, -1, 2.0, True, "8", None),
        "kernel_size": (0, (3, 0), (3, 3, 3), [3, 3], 3.0),
        "padding": (-1, 4097, "same", 0.5, (1, 1, 2, 2), ((0, 1), (0, 1))),
        "stride": (0, (2,)),
        "groups": (0, 1.0),
        "bias": (3, 0, None, "no"),
        "dilation": (0, (1, 0), None),
    },
    BatchNorm: {
        "eps": (0, -1e-5, "x", *NOT_FINITE),
        "momentum": (-0.1, 1.1, "0.1", True),
        "affine": (1, None, "no"),
    },
    GroupNorm: {"groups": (0, 2.0, None), "eps": (0, *NOT_FINITE)},
    Residual: {"layers": ((), [Activation()]), "shortcut": (Activation(), None)},
    Concat: {"branches": ((), ((),), (Activation(), Activation()), ([], []), 3)},
    Activation: {"function": ("tan", "ReLU", None, 1)},
    MaxPool: {
        "kernel_size": (0, 2.0, (2, 2, 2), True),
        "stride": (0, "2"),
        "padding": (-1, 2, (1, 2), "same"),
    },
    AvgPool: {"kernel_size": (0, None), "stride": ((1, 0),), "padding": (True, (0, 2))},
    Dense: {"out_features": (0, 1.5, "10", True), "bias": (128, None)},
    Dropout: {"rate": (1.0, -0.1, "half", True, *NOT_FINITE)},
    SpatialDropout: {"rate": (1.0, 1.5, None)},
    ModelSpec: {
        "name": (1, None),
        "layers": ([*LAYERS], "relu", None),
        "input_shape": ([1, 28, 28], (1, 28.0, 28), (0, 28, 28), 784),
        "init": ("he", "xavier", None),
    },
    SGD: {"momentum": (9, 1.0, -0.5, "x", True), "nesterov": (True, 1, "yes")},
    Adam: {"beta1": (1, -0.1, "x"), "beta2": (1.0, 2), "eps": (0, -1e-8, *NOT_FINITE)},
    Adadelta: {"rho": (1, -0.1), "eps": (0, None)},
    StepDecay: {"gamma": ("x", 0, -0.5, 10, *NOT_FINITE)},
    Linear: {
        "epochs": ((), (0,), (1,), (1, 0), (1, 1), (-1, 1), (0, "x"), (0, 1, 2), [0, 1], 3),
        "factors": ((), (1,), (1, -1), (0, 0.0), (1, "x"), (1, 1, 1), 1, None),
    },
    OneCycle: {
        "warm_up": (2, -0.1),
        "start_div": (0, -1, 1e-320),
        "final_div": (0, "x", 1e-320),
        "momentum": (
            (1,),
            (0.1, 0.2, 0.3),
            (0.95, 0.85),
            (0.5, 1.0),
            (0.0, 0.95),
            (1e-17, 0.95),
            0.9,
            [0.8, 0.9],
        ),
    },
    RandomCrop: {
        "area": ((1.0, 0.5), (0.0, 1.0), (0.5, 1.5), (0.5,), 0.5),
        "aspect": ((-1, 1), (0, 1), (2.0, 1.0)),
    },
    ZoomCrop: {"side": (0, 4097, 22.0), "probability": (-3, 7)},
    Elastic: {
        "displacement": (-1, "x", *NOT_FINITE),
        "knots": (0, 2.5, 10**6),
        "probability": (1.5, True),
    },
    Affine: {
        "crop": ((0.5, 1.0), ZoomCrop(22, 0.5)),
        "zoom": (22,),
        "rotation": (-5, 181, "x", *NOT_FINITE),
        "scaling": (-0.1, 1.0),
        "translation": (-1, 4097),
        "probability": (-3, 7, True),
        "elastic": (0.5,),
    },
    MomentNormalization: {"height": (-3, 2, "x"), "width": (1.5, None)},
    Recipe: {
        "optimizer": ("SGD", Dense, None, OneCycle()),
        "lr": (0, -1, True, "x", *NOT_FINITE),
        "batch_size": (0, 60_001, 64.0),
        "epochs": (-1, 2.5, 10**12),
        "schedule": (None, "OneCycle", SGD()),
        "augment": (RandomCrop(**CROP), 15.0),
        "mean": ("x", None, *NOT_FINITE),
        "std": (0, -1),
        "label_smoothing": (1, -0.1),
        "averaged_epochs": (-1, 1.5),
        "moments": (0.5, Affine()),
        "tta_shift": (4096, -1, 1.0),
    },
    Recorded: {"mean": (-1, 101, "99"), "sd": (-0.1, None), "seeds": (0, 1.5)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_kind_is_checked(kind: Any) -> None:
    assert issubclass(kind, Checked)
    assert [field.name for field in dataclasses.fields(kind)] == list(WRONG.get(kind, {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "fields"), WRONG.items())
def test_a_wrong_value_is_refused_with_the_field(kind: type, fields: dict[str, tuple[Any, ...]]) -> None:
    valid = VALID.get(kind, {})
    for name, value in ((name, value) for name, values in fields.items() for value in values):
        with pytest.raises((SpecError, RecipeError)) as error:
            kind(**valid | {name: value})
        assert f"{name}=" in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (lambda: Activation("Tahn"), "or 'tanh' or 'sigmoid' or 'hard_swish'; the nearest is 'tanh'."),  # type: ignore[arg-type]
        (lambda: Conv(4, 3, dilation=2, stride=2), "dilation=2 requires stride=1, not 2"),
        (
            lambda: Conv(4, 3, padding=(0, 1, 0, 1)),
            "must be a whole number or (rows, columns)",
        ),  # type: ignore[arg-type]
        (lambda: Activation("x"), "or 'sigmoid' or 'hard_swish'."),  # type: ignore[arg-type]
        (lambda: ModelSpec("m", LAYERS, init="he"), "'fan-in-uniform' or 'xavier-uniform'"),
        (lambda: Adam(beta1=1), "a number of at least 0 and below 1"),
        (lambda: StepDecay(0), "a number above 0 and at most 1"),
        (lambda: dataclasses.replace(RECIPE, schedule=None), "Constant or StepDecay or Linear or OneCycle"),
        (lambda: OneCycle(momentum=(1,)), "a tuple of 2, each a number"),  # type: ignore[arg-type]
    ],
)
def test_a_refusal_names_what_is_allowed(make: Callable[[], Any], allowed: str) -> None:
    with pytest.raises((SpecError, RecipeError)) as error:
        make()
    assert allowed in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: ModelSpec("m", (Conv(4, 3), Flatten, Dense(10))),
            "layer 2 is the class Flatten; write Flatten().",
        ),
        (
            lambda: ModelSpec("m", (Flatten(), Dense)),
            "layer 2 is the class Dense; write Dense(...).",
        ),
        (
            lambda: ModelSpec("m", (Flatten(), "relu")),
            "layer 2 is the text 'relu'; write Activation(\"relu\").",
        ),
        (
            lambda: ModelSpec("m", ((Flatten(), Dense(9)), Dense(10))),
            "layer 1 is several layers in a tuple; write * before",
        ),
        (
            lambda: ModelSpec("m", (Flatten(), None)),
            "layer 2 is none of the kinds of layers: None.",
        ),
        (
            lambda: Residual(Activation),
            "layer 1 is the class Activation; write Activation().",
        ),
        (
            lambda: Residual(Activation(), shortcut=(BatchNorm,)),
            "shortcut layer 1 is the class BatchNorm;",
        ),
        (
            lambda: Concat((), (Activation(), Residual)),
            "branch 2, layer 2 is the class Residual; write Residual(...).",
        ),
        (lambda: Residual(Activation(), layers=(BatchNorm(),)), "both in order and as layers=; give them"),
        (lambda: Concat((), (), branches=((), ())), "both in order and as branches=; give them once."),
        (
            lambda: dataclasses.replace(RECIPE, optimizer=Adam),
            "optimizer is the class Adam; write Adam().",
        ),
        (
            lambda: dataclasses.replace(RECIPE, schedule=Linear),
            "schedule is the class Linear; write Linear(...).",
        ),
        (
            lambda: dataclasses.replace(RECIPE, augment=Affine),
            "augment is the class Affine; write Affine().",
        ),
    ],
)
def test_what_is_given_wrongly_is_named_with_what_to_write(make: Callable[[], Any], words: str) -> None:
    with pytest.raises((SpecError, RecipeError)) as error:
        make()
    assert words in str(error.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, LayerKind)])
def test_every_class_of_layer_needs_brackets(kind: type) -> None:
    with pytest.raises(SpecError, match=rf"layer 1 is the class {kind.__name__}; write {kind.__name__}\("):
        ModelSpec("m", (kind,))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv(1, 8, 3),  # type: ignore[misc]
        lambda: Dense(784, 128),  # type: ignore[misc]
        lambda: BatchNorm(10),  # type: ignore[misc]
        lambda: SGD(0.1),  # type: ignore[misc]
        lambda: Adam(1e-3),  # type: ignore[misc]
        lambda: Adadelta(1.0),  # type: ignore[misc]
        lambda: OneCycle(0.1, 100),  # type: ignore[misc]
        lambda: RandomCrop(28, (0.8, 1.0)),  # type: ignore[misc]
        lambda: Affine(15),  # type: ignore[misc]
        lambda: Elastic(50.0, 5),  # type: ignore[misc]
        lambda: Recipe(Adam(), 0.1, 32, 5),  # type: ignore[misc]
    ],
)
def test_what_frameworks_order_differently_is_named(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


CHANGES = [
    *("schedule=Linear((0,),(1,))", "schedule=Linear(epochs=(),factors=())", "schedule=Linear((1,2),(1,))"),
    *('schedule=StepDecay("x")', 'optimizer=Adam("x")', "augment.rotation=1e999", "augment.rotation=-5"),
    *("augment.elastic=Elastic(0.5,0)", "augment.elastic=Elastic(0.5,2.5)", "augment.elastic.knots=0"),
    *("augment.elastic=Elastic(0.5,knots=0)", "augment.elastic=Elastic(0.5,knots=2.5)"),
    *("augment.crop=RandomCrop((1,0),(1,1))", "augment.crop=RandomCrop(area=(1,0),aspect=(1,1))"),
    *("augment.crop=RandomCrop(area=(0.5,1),aspect=(-1,1))", "augment.crop=RandomCrop(0.5,1)"),
    *("schedule=OneCycle(start_div=0)", "schedule=OneCycle(final_div=0)", "schedule=OneCycle(momentum=(1,))"),
    *("epochs=1000000000000", "optimizer=SGD(momentum=9)", "augment.zoom=ZoomCrop(22,-3)"),
    *("schedule=OneCycle()()", "augment=Affine(rotation=5", "schedule=OneCycle(1)+(2)", "schedule=OneCycle("),
    *("optimizer=Adam(beta1=1)", "augment.probability=7", "moments.height=-3", "schedule=OneCycle(**{})"),
    *("schedule=OneCycle(warm_up=2)", "schedule=OneCycle(*[1])", "schedule=OneCycle(momentum=(1,2,3))"),
    *(f"std={'-' * 100_000}1", f"mean={'(' * 5000}", "lr=1\n2", f"epochs={'9' * 5000}", f"lr={'9' * 400}"),
    *(f"lr=0x{'f' * 5000}", f"epochs=0x{'f' * 5000}", "lr=nan", "lr=1j", "lr=[]", "lr=\0"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change)[:40])
def test_a_change_to_a_wrong_value_is_one_line(change: str) -> None:
    with pytest.raises(RecipeError) as error:
        with_overrides(RECIPE, [change])
    assert "\n" not in str(error.value)
