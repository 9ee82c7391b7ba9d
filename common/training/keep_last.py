"""The last result of a function, kept while the function is called with the same objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Result = TypeVar("Result")


def keep_last(function: Callable[..., Result]) -> Callable[..., Result]:
    """`function` that runs only when one of its arguments is another object than in the last call.

    Arguments are compared by identity, and the last result is dropped before a new one is made, so that
    memory never holds both.
    """
    last: list[tuple[tuple[Any, ...], Result]] = []

    @wraps(function)
    def kept(*arguments: Any) -> Result:
        if not last or any(old is not new for old, new in zip(last[0][0], arguments, strict=True)):
            last.clear()
            last.append((arguments, function(*arguments)))
        return last[0][1]

    return kept
