"""Recipes changed by assignments such as `lr=0.3` or `schedule.warm_up=0.25`."""

from __future__ import annotations

import ast
import dataclasses
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from common.checked import RecipeError, suggestion
from common.identity import kind_of, recorded_name
from common.model.recipe import Recipe


def with_overrides(recipe: Recipe, changes: Iterable[str]) -> Recipe:
    """The recipe with changes such as `lr=0.3`, `schedule=OneCycle`, `augment.rotation=12`, `augment=none`,
    `schedule=StepDecay(gamma=0.7)`.

    Raises RecipeError for a change that names no field, or a value that the field cannot have.
    """
    changed = dict(vars(recipe))
    changes = list(changes)
    for change in changes:
        path, equals, text = change.partition("=")
        try:
            if not equals:
                raise RecipeError("a change of a recipe is FIELD=VALUE, such as lr=0.3.")
            name, value = _changed(recipe, changed, path.split("."), text)
        except RecipeError as error:
            raise RecipeError(" ".join(f"{change}: {error}".split())) from None
        changed[name] = value
    try:
        return dataclasses.replace(recipe, **changed)
    except RecipeError as error:  # of all changes, as a field may need another one's
        raise RecipeError(" ".join(f"{' '.join(changes)}: {error}".split())) from None


def _changed(choice: Any, values: Mapping[str, Any], path: list[str], text: str) -> tuple[str, Any]:
    """The field of `choice`, whose fields have `values`, that a change is of, and its value."""
    fields = dataclasses.fields(choice)
    types_of = typing.get_type_hints(type(choice))
    hints = {field.name: types_of[field.name] for field in fields}
    name, *rest = path
    # The name in the digest is accepted too, as checkpoints record changes under it.
    name = {recorded_name(field): field.name for field in fields}.get(name, name)
    if name not in hints:
        kind = "Recipe" if isinstance(choice, Recipe) else kind_of(choice)
        raise RecipeError(f"{kind} has no {name}; {suggestion(name, hints, 'it has')} {', '.join(hints)}.")
    if not rest:
        return name, _value(hints[name], text)
    inner = values[name]
    if inner is None:
        for kind, needed in list(_kinds(hints[name]).items())[:1]:
            inner = _construct(needed, f"{kind}()")
    if not dataclasses.is_dataclass(inner) or isinstance(inner, type):
        raise RecipeError(f"{name} has no parts.")
    part, value = _changed(inner, vars(inner), rest, text)
    return name, dataclasses.replace(inner, **{part: value})


def _allowed(hint: Any) -> tuple[Any, ...]:
    """The members of a field's type, if it is a union, or the type alone."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if union else (hint,)


def _kinds(hint: Any) -> dict[str, Any]:
    """The dataclasses that a field's type allows, by name."""
    kinds = [kind for kind in _allowed(hint) if isinstance(kind, type)]
    return {kind_of(kind): kind for kind in kinds if dataclasses.is_dataclass(kind)}


def _value(hint: Any, text: str) -> Any:
    """`text` as a value of a field's type: a number, a tuple, True or False, none, a constructor's call."""
    allowed, kinds = _allowed(hint), _kinds(hint)
    name, bracket, _ = text.partition("(")
    if name in kinds:
        return _construct(kinds[name], text if bracket else f"{name}()")
    if text == "none" and type(None) in allowed:
        return None
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        value = text
    if float in allowed and type(value) is int and abs(value) <= sys.float_info.max:
        value = float(value)
    tuples = any(typing.get_origin(kind) is tuple for kind in allowed)
    if type(value) in allowed or (tuples and isinstance(value, tuple)):
        return value
    words = {bool: "True or False", int: "a whole number", float: "a number", type(None): "none"}
    expected = [*kinds, *(words[kind] for kind in allowed if kind in words)] or ["a tuple"]
    raise RecipeError(f"{text} is not {' or '.join(expected)}.")


def _construct(kind: Any, text: str) -> Any:
    """The object that a constructor's call such as `StepDecay(gamma=0.7)` makes. Raises RecipeError."""
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise SyntaxError(text)
        positional = [ast.literal_eval(value) for value in call.args]
        named = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in call.keywords}
        return kind(*positional, **named)
    except RecipeError:
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        fields = ", ".join(field.name for field in dataclasses.fields(kind))
        raise RecipeError(f"write {kind_of(kind)}(FIELD=VALUE, ...) with values for {fields}.") from None
