"""Names that recorded results depend on, apart from the names of Python classes and fields.

The recipe digest and several columns name the kind of a layer, an optimizer, a schedule or an augmentation.
Each of these classes spells its name in `kind`, so a class can be renamed and its recorded rows keep their
digest.
"""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any

_ADDED, _RECORDED = "added", "recorded"


def kind_of(choice: object) -> str:
    """The recorded name of a layer, an optimizer, a schedule or an augmentation, or of its class."""
    kind: str = vars(choice if isinstance(choice, type) else type(choice))["kind"]
    return kind


def added_field(default: Any, *, recorded: str = "") -> Any:
    """A dataclass field that recipes did not have from the start.

    At its default it is left out of the digest, so rows older than the field keep their digest. `recorded` is
    its name in the digest where that is not the field's own.
    """
    return field(default=default, metadata={_ADDED: True, _RECORDED: recorded})


def is_added(entry: Field[Any]) -> bool:
    """Whether a field was made by `added_field`."""
    return bool(entry.metadata.get(_ADDED))


def recorded_name(entry: Field[Any]) -> str:
    """A field's name in the digest."""
    return str(entry.metadata.get(_RECORDED) or entry.name)
