"""The rendered parts of docs/zoo.md, docs/command-line.md and docs/columns.md."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common.cli import arguments
from common.frameworks import FRAMEWORKS, ROOT
from common.model.entry import Entry
from common.model.recipe import short_name
from common.report import sources
from common.report.markdown import listed, markdown
from common.tables.schema import TABLES, columns

HELP_WIDTH = 100


def zoo_block(entries: Iterable[Entry]) -> str:
    """The networks: size, recipe, source, and the assumptions made where the source is silent."""
    entries = list(entries)
    head = "NAME | PARAMS | MULTIPLY-ADDS | BATCH SIZE | EPOCHS | SOURCE"
    rows = [
        [
            f"`{entry.name}`",
            f"{entry.spec.parameters:,}",
            f"{entry.spec.multiply_adds:,}",
            *(str(entry.recipe.batch_size), str(entry.recipe.epochs)),
            sources.link(entry.source, entry.address),
        ]
        for entry in entries
    ]
    training = [f"`{entry.name}`: {_training(entry)}" for entry in entries]
    assumed = [f"`{entry.name}`: {entry.assumed}" for entry in entries if entry.assumed]
    return "\n\n".join(
        [
            markdown(head.split(" | "), rows, right=(1, 2, 3, 4)),
            "Optimizer, schedule and augmentation:",
            listed(training),
            "Assumed where a source is silent or wrong:",
            listed(assumed),
        ]
    )


def _training(entry: Entry) -> str:
    recipe = entry.recipe
    parts = [f"{short_name(recipe.optimizer)} at {recipe.lr:g}", short_name(recipe.schedule)]
    if recipe.augment:
        parts.append(short_name(recipe.augment))
    return ", ".join([*(f"`{part}`" for part in parts), *recipe.details()])


def command_line_block() -> str:
    """The text of `--help`, HELP_WIDTH columns wide, without paths of this machine."""
    parser = arguments.parser(next(iter(FRAMEWORKS)))
    # argparse gets its width from the formatter; it leaves two columns free, as for a terminal.
    formatter: Any = parser.formatter_class
    parser.formatter_class = functools.partial(formatter, width=HELP_WIDTH - 2)
    text = parser.format_help().replace(str(ROOT), ".").replace(str(Path.home()), "~")
    return f"```text\n$ python {parser.prog} --help\n{text.rstrip()}\n```"


def columns_block() -> str:
    """Every column of the tables with its unit and meaning."""
    parts = []
    for table, row_class in TABLES.items():
        rows = [[f"`{name}`", column.unit, column.meaning] for name, column in columns(row_class).items()]
        parts.append(f"`{table}`\n\n{markdown(['COLUMN', 'UNIT', 'MEANING'], rows)}")
    return "\n\n".join(parts)
