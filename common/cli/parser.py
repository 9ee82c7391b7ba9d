"""A parser of command lines with errors of one line, which loses nothing that was given: a repeated list adds
up, another repeated flag is refused."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from common.checked import nearest, suggestion


def choose(text: str, names: Collection[str]) -> str:
    """`did you mean mnist? Choose from mnist, fashion-mnist.`"""
    return f"{suggestion(text, names, 'choose from')} {', '.join(names)}."


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

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; a flag that it does not know gets the nearest one."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.refuse(unknown)
        return options

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Exit with status 2 because of words that are no arguments of this command."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        meant = [flag for word in words if (flag := nearest(word.partition("=")[0], flags))]
        question = f"; did you mean {' '.join(dict.fromkeys(meant))}?" if meant else ""
        self.error(f"unrecognized arguments: {' '.join(words)}{question}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse, with the nearest choice."""
        if action.choices is not None and value not in action.choices:
            message = f"{value!r:.80} is unknown; {choose(str(value), list(action.choices))}"
            raise argparse.ArgumentError(action, message)

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
