"""Names that recorded results depend on, apart from the names of Python classes and fields.

The recipe digest and several columns name the kind of a layer, an optimizer, a schedule or an augmentation.
Each of these classes spells its name in `kind`, so a class can be renamed and its recorded rows keep their
digest.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

_ADDED = {"added": True}


def kind_of(choice: object) -> str:
    """The recorded name of a layer, an optimizer, a schedule or an augmentation, or of its class."""
    kind: str = vars(choice if isinstance(choice, type) else type(choice))["kind"]
    return kind


def added_field(default: Any) -> Any:
    """A dataclass field that recipes did not have from the start.

    At its default it is left out of the digest, so rows that are older than the field keep theirs.
    """
    return field(default=default, metadata=_ADDED)


def is_added(metadata: Any) -> bool:
    """Whether a field's metadata is that of `added_field`."""
    return bool(metadata == _ADDED)
