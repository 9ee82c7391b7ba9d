"""docs/gallery.md: the pictures, each with its caption."""

from __future__ import annotations

from collections.abc import Iterable

from common.analysis.frames import Tables
from common.report import plots
from common.report.markdown import listed

NO_RUNS = "No runs yet."
SHOWN = "under-5k"
"""The network whose confusion matrix and wrong images are shown; those of the others are links."""


def block(tables: Tables, link: str) -> str:
    """Every picture but the README's; of pictures per network those of SHOWN, and links.

    `link` is the address of the folder of the pictures.
    """
    pictures = [picture for picture in plots.planned(tables) if picture.file != plots.ANSWER]
    if not pictures:
        return NO_RUNS
    models = [picture.model for picture in pictures if picture.model and not _alone(picture, pictures)]
    shown = SHOWN if SHOWN in models else next(iter(models), "")
    parts, others = [], []
    for picture in pictures:
        if _alone(picture, pictures) or picture.model == shown:
            parts.append(f"## {picture.title}\n\n{image(picture, link)}\n\n{picture.caption}")
        else:
            others.append(f"[{picture.title}]({link}/{picture.file})")
    if others:
        parts.append("## The other networks\n\n" + listed(others))
    return "\n\n".join(parts)


def _alone(picture: plots.Picture, pictures: Iterable[plots.Picture]) -> bool:
    """Whether no other network has a picture of this kind."""
    return picture.kind is None or sum(other.kind == picture.kind for other in pictures) == 1


def image(picture: plots.Picture, link: str) -> str:
    """The picture in Markdown."""
    return f"![{picture.title}]({link}/{picture.file})"
