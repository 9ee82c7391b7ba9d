"""Dataclasses that check their fields when an object is made: types, and the limits declared beside them."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import types
import typing
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal


class RecipeError(ValueError):
    """A value that no recipe can have; the message is for the user at the terminal."""


@dataclass(frozen=True)
class Between:
    """Limits of a number. Both are allowed themselves, `low` not with `above`, `high` not with `below`."""

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def allows(self, value: float) -> bool:
        """Whether `value` is within the limits."""
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'of at least'} {self.low:g}"
        high = f" and {'below' if self.below else 'at most'} {self.high:g}"
        return low + ("" if self.high == math.inf else high)


class Checked:
    """A frozen dataclass that raises `error` when a field has a value that its annotation does not allow.

    A number is finite, and within `Between` where the annotation has one; True and False are no numbers.
    """

    error: ClassVar[type[ValueError]] = RecipeError

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self), include_extras=True)
        for name, hint in ((name, hints[name]) for name in _names(self)):
            value = getattr(self, name)
            if not _allows(hint, value):
                if isinstance(value, type) and value in _kinds(hint):
                    self.refuse(f"{name} {instead_of_class(value)}")
                self.refuse(f"{name}={short(value)} must be {_words(hint)}{_nearest(hint, value)}")

    def refuse(self, reason: str) -> typing.NoReturn:
        """Raise `error` with the kind and the reason."""
        raise self.error(f"{_name(type(self))}: {reason}.")


def _kinds(hint: Any) -> list[type]:
    """The checked classes among the members of a union, or the one that the hint is."""
    members = [hint, *typing.get_args(hint)]
    return [member for member in members if isinstance(member, type) and issubclass(member, Checked)]


def instead_of_class(kind: Any) -> str:
    """Words that say what to write instead of a class where an object of it must stand."""
    required = any(
        field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        for field in dataclasses.fields(kind)
    )
    return f"is the class {kind.__name__}; write {kind.__name__}({'...' if required else ''})"


def _names(choice: Any) -> list[str]:
    """The names of a dataclass's fields, in order."""
    return [field.name for field in dataclasses.fields(choice)]


def _allows(hint: Any, value: Any) -> bool:
    members = typing.get_args(hint)
    match typing.get_origin(hint):
        case origin if origin is Annotated:
            return _allows(members[0], value) and all(limit.allows(value) for limit in members[1:])
        case origin if origin is Literal:
            return any(type(value) is type(member) and value == member for member in members)
        case typing.Union | types.UnionType:
            return any(_allows(member, value) for member in members)
        case origin if origin is tuple:
            if not isinstance(value, tuple):
                return False
            hints = [members[0]] * len(value) if members[-1] is Ellipsis else members
            return len(hints) == len(value) and all(map(_allows, hints, value))
    if hint in (int, float):
        number = isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
        return number and -sys.float_info.max <= value <= sys.float_info.max
    if isinstance(hint, type) and issubclass(hint, Checked):
        return type(value) is hint  # a class of a user's own has no kind, and no form in the frameworks
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    members = typing.get_args(hint)
    match typing.get_origin(hint):
        case origin if origin is Annotated:
            return " ".join([_words(members[0]), *map(str, members[1:])])
        case origin if origin is Literal:
            return " or ".join(map(repr, members))
        case typing.Union | types.UnionType:
            return " or ".join(map(_words, members))
        case origin if origin is tuple:
            count = "" if members[-1] is Ellipsis else f" of {len(members)}"
            return f"a tuple{count}, each {_words(members[0])}"
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    return words.get(hint) or ("None" if hint is type(None) else _name(hint))


def _nearest(hint: Any, value: object) -> str:
    """The allowed text nearest to one that is not allowed, in words; empty where none is near."""
    if typing.get_origin(hint) is not Literal or not isinstance(value, str):
        return ""
    near = nearest(value.lower(), [str(member) for member in typing.get_args(hint)])
    return f"; the nearest is {near!r}" if near else ""


def nearest(text: str, names: Collection[str]) -> str:
    """The name that a misspelt one most likely means; empty if none is near."""
    return next(iter(difflib.get_close_matches(text, names, n=1)), "")


def suggestion(text: str, names: Collection[str], then: str) -> str:
    """`did you mean mnist? Choose from`; only `choose from`, which is `then`, where no name is near."""
    near = nearest(text, names)
    return f"did you mean {near}? {then[:1].upper()}{then[1:]}" if near else then


def _name(kind: type) -> str:
    """The recorded name of a kind, or its class's."""
    return str(vars(kind).get("kind", kind.__name__))


def short(value: object) -> str:
    """A value as Python writes it, cut off after 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:80]}..."
