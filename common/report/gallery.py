"""docs/gallery.md: the pictures, each with its caption."""

from __future__ import annotations

from collections.abc import Iterable

from common.analysis.frames import Tables
from common.report import plots

NO_RUNS = "No runs of the zoo's recipes yet."


def block(tables: Tables, link: str) -> str:
    """Every picture but the README's, under its title; `link` is the address of their folder."""
    pictures = [picture for picture in plots.planned(tables) if picture.file != plots.ANSWER]
    return listed(pictures, link) or "No network with a verdict has been run yet."


def listed(pictures: Iterable[plots.Picture], link: str) -> str:
    """The pictures in the folder at the address `link`, each under its title and above its caption."""
    parts = (f"## {picture.title}\n\n{image(picture, link)}\n\n{picture.caption}" for picture in pictures)
    return "\n\n".join(parts)


def image(picture: plots.Picture, link: str) -> str:
    """The picture in Markdown."""
    return f"![{picture.title}]({link}/{picture.file})"
