"""A parser of command lines with errors of one line, which loses nothing that was given: a repeated list adds
up, another repeated flag is refused."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse, which by itself keeps the last value of a flag that is given twice."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.given: set[str] = set()
        for name in (None, "store"):
            self.register("action", name, _Store)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and the message in one line, without argparse's list of all flags."""
        self.exit(2, f"{self.prog}: {message}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; a parser can be used again."""
        self.given = set()
        return super().parse_known_args(args, namespace)


class _Store(argparse.Action):
    """Store a value once; add up the values of a list, each of them once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        assert isinstance(parser, Parser)
        repeated = self.dest in parser.given
        parser.given.add(self.dest)
        if isinstance(values, list):
            before = getattr(namespace, self.dest) if repeated else ()
            values = list(dict.fromkeys([*before, *values]))
        elif repeated and option_string:
            parser.error(f"{option_string} is given twice.")
        setattr(namespace, self.dest, values)
