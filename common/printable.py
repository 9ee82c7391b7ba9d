"""Text from files and networks for a terminal, which the escape sequences in it could change."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` on one line, with its control characters as Python writes them: `\\x1b`, `\\n`."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
