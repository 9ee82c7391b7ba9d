"""Names that recorded results depend on, apart from the names of Python classes and fields.

The recipe digest and several columns name the kind of a layer, an optimizer, a schedule or an augmentation.
Each of these classes spells its name in `kind`, so a class can be renamed and its recorded rows keep their
digest.
"""

from __future__ import annotations

import dataclasses
from dataclasses import Field
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
    return dataclasses.field(default=default, metadata={_ADDED: True, _RECORDED: recorded})


def is_added(field: Field[Any]) -> bool:
    """True for a field that `added_field` has defined."""
    return bool(field.metadata.get(_ADDED))


def recorded_name(field: Field[Any]) -> str:
    """A field's name in the digest."""
    return str(field.metadata.get(_RECORDED) or field.name)
