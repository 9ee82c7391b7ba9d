"""How is a network trained? A recipe, its name in the tables, its digest, and recipes that vary from it.

A field that was added when there were results already is left out of the digest while it has its default, so
that these results keep theirs.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from common.data.augment import Affine
from common.data.datasets import normalise
from common.data.moment_normalization import Moments, alike
from common.identity import added_field, is_added, kind_of
from common.model.optimizer import Optimizer
from common.model.schedule import Constant, Schedule
from common.model.spec import ModelSpec


class RecipeError(ValueError):
    """A change that no recipe can have; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Pixels in 0..1 have `mean` taken off and are divided by `std`.

    With `label_smoothing` s the wanted distribution is 1 - s of the label and s of all classes evenly
    (Szegedy et al., 2016). With `averaged` n the network that is tested after the last epoch has the mean of
    the weights and statistics at the ends of the last n. With `moments` all images, those of the test too,
    are brought to like ones first. With `shifted` n the last test is also done with the mean of the logits of
    each image and of that image n pixels further up, down, left and right.
    """

    optimizer: Optimizer
    lr: float
    batch_size: int
    epochs: int
    schedule: Schedule = Constant()
    augment: Affine | None = None
    mean: float = 0.1307
    std: float = 0.3081
    label_smoothing: float = added_field(0.0)
    averaged: int = added_field(0)
    moments: Moments | None = added_field(None)
    shifted: int = added_field(0)

    def __post_init__(self) -> None:
        """Raises RecipeError for what no training can have."""
        sound = {
            "lr": 0 < self.lr < math.inf,
            "batch_size": self.batch_size > 0,
            "epochs": self.epochs >= 0,
            "std": 0 < self.std < math.inf,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "averaged": self.averaged >= 0,
            "shifted": 0 <= self.shifted < 28,
        }
        for name in (name for name, holds in sound.items() if not holds):
            raise RecipeError(f"No recipe has {name}={getattr(self, name)}.")

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON, each choice with the name of its kind."""
        return _plain(self)

    def pixels(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The images (N, 28, 28) as a network is to see them, still bytes."""
        return alike(images, self.moments) if self.moments else images

    def inputs(self, images: NDArray[np.uint8], *, dtype: DTypeLike = "float32") -> NDArray[np.floating]:
        """Images (N, 28, 28) as a network takes them: (N, 1, 28, 28)."""
        return self.scaled(self.pixels(images), dtype=dtype)

    def scaled(self, pixels: NDArray[np.uint8], *, dtype: DTypeLike = "float32") -> NDArray[np.floating]:
        """What `pixels` made, as a network takes it."""
        return normalise(pixels, mean=self.mean, std=self.std, dtype=dtype)

    def details(self) -> list[str]:
        """What else is done, in words."""
        told = {
            f"images alike in {label(self.moments)}": self.moments,
            f"label smoothing {self.label_smoothing:g}": self.label_smoothing,
            f"the last {self.averaged} epochs averaged": self.averaged,
            f"tested on images shifted by {self.shifted} too": self.shifted,
        }
        return [words for words, done in told.items() if done]


def _plain(choice: Any) -> dict[str, object]:
    """The fields of a dataclass, but for later ones at their default; what is a choice, with its kind."""
    shown = {}
    for one in dataclasses.fields(choice):
        value = getattr(choice, one.name)
        if is_added(one.metadata) and value == one.default:
            continue
        shown[one.name] = _plain(value) if dataclasses.is_dataclass(value) else value
        if one.name in CHOICES and value is not None:
            shown[one.name] = {"kind": kind_of(value)} | _plain(value)
    return shown


CHOICES = ("optimizer", "schedule", "augment", "moments")


def recipe_hash(spec: ModelSpec, recipe: Recipe, *, start: str = "") -> str:
    """Twelve hexadecimal digits that change with anything in the network, its recipe, or the digest of the
    weights it starts from where those are not the initial ones."""
    text = json.dumps([spec.to_dict(), recipe.to_dict(), *([start] if start else [])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def label(choice: object) -> str:
    """`OneCycle(warm_up=0.25)`: a choice and its settings that are not the default, as the tables show it."""
    if not dataclasses.is_dataclass(choice):
        return "none"
    shown = []
    for one in dataclasses.fields(choice):
        value = getattr(choice, one.name)
        if value != one.default:
            shown.append(f"{one.name}={value}".replace(" ", ""))
    return f"{kind_of(choice)}({' '.join(shown)})"


def varied(recipe: Recipe, changes: Iterable[str]) -> Recipe:
    """The recipe with changes such as `lr=0.3`, `schedule=OneCycle`, `augment.rotation=12`, `augment=none`,
    `schedule=StepDecay(gamma=0.7)`.

    Raises RecipeError for one that names no field, or a value that does not fit it.
    """
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise RecipeError(f"{change} is no change of a recipe: write FIELD=VALUE, such as lr=0.3.")
        recipe = _with(recipe, path.split("."), text, change)
    return recipe


def _with(choice: Any, path: list[str], text: str, change: str) -> Any:
    fields = {one.name for one in dataclasses.fields(choice)}
    hints = {name: hint for name, hint in typing.get_type_hints(type(choice)).items() if name in fields}
    name, *rest = path
    if name not in hints:
        kind = "Recipe" if isinstance(choice, Recipe) else kind_of(choice)
        raise RecipeError(f"{change}: {kind} has no {name}, but {', '.join(hints)}.")
    if not rest:
        return dataclasses.replace(choice, **{name: _value(hints[name], text, change)})
    inner = getattr(choice, name)
    if inner is None:
        inner = _made(next(iter(_kinds(hints[name]).values())), "", change)
    if not dataclasses.is_dataclass(inner):
        raise RecipeError(f"{change}: {name} has no parts.")
    return dataclasses.replace(choice, **{name: _with(inner, rest, text, change)})


def _allowed(hint: Any) -> tuple[Any, ...]:
    """The types that a field's type is a union of."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def _kinds(hint: Any) -> dict[str, Any]:
    """The dataclasses that a field's type allows, by name."""
    kinds = [kind for kind in _allowed(hint) if isinstance(kind, type)]
    return {kind_of(kind): kind for kind in kinds if dataclasses.is_dataclass(kind)}


def _value(hint: Any, text: str, change: str) -> Any:
    """`text` as a value of a field's type: a number, a tuple, True or False, none, a kind as it is made."""
    allowed, kinds = _allowed(hint), _kinds(hint)
    name, _, settings = text.partition("(")
    if name in kinds:
        return _made(kinds[name], settings.removesuffix(")"), change)
    if text == "none" and type(None) in allowed:
        return None
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = text
    if float in allowed and type(value) is int:
        value = float(value)
    tuples = any(typing.get_origin(kind) is tuple for kind in allowed)
    if type(value) in allowed or (tuples and isinstance(value, tuple)):
        return value
    words = {bool: "True or False", int: "a whole number", float: "a number", type(None): "none"}
    wanted = [*kinds, *(words[kind] for kind in allowed if kind in words)] or ["a tuple"]
    raise RecipeError(f"{change}: {text} is not {' or '.join(wanted)}.")


def _made(kind: Any, settings: str, change: str) -> Any:
    """`StepDecay` of `gamma=0.7`."""
    try:
        call = ast.parse(f"kind({settings})", mode="eval").body
        assert isinstance(call, ast.Call)
        places = [ast.literal_eval(value) for value in call.args]
        names = {word.arg or "": ast.literal_eval(word.value) for word in call.keywords}
        return kind(*places, **names)
    except (SyntaxError, ValueError, TypeError):
        fields = ", ".join(one.name for one in dataclasses.fields(kind))
        raise RecipeError(f"{change}: write {kind_of(kind)}(...) with values for {fields}.") from None
