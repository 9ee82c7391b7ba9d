"""README.md's marked blocks: results, pictures, the zoo, the command line, the columns of the tables."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common.analysis import pooling
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.cli import arguments
from common.frameworks import FRAMEWORKS, ROOT, display_name
from common.model.entry import Entry
from common.model.recipe import short_name
from common.model.zoo import ZOO
from common.report import plots, run_tables, sources, verdict_tables
from common.report.cells import accuracy
from common.report.markdown import listed, markdown
from common.tables.schema import TABLES, columns

NO_RUNS = "No runs yet."
SHOWN = "under-5k"
"""The network whose confusion matrix and wrong images the README shows; it links those of the others."""

HELP_WIDTH = 100


def blocks(tables: Tables, link: str) -> dict[str, str]:
    """The blocks by the names of their markers; `link` is the folder of the pictures."""
    return {
        "results": results_block(tables, link),
        "walk-through": walk_through_block(tables, link),
        "zoo": zoo_block(ZOO.values()),
        "command-line": command_line_block(),
        "columns": columns_block(),
    }


def results_block(tables: Tables, link: str, *, benchmarks: str = "benchmarks.md") -> str:
    """Verdicts, the overview picture, the results of the zoo's own recipes beside the claims, remarks.

    `link` is the folder of the pictures, `benchmarks` the address of the page of that name.
    """
    groups = pooling.groups(pooling.zoo_runs(tables.runs))
    if not groups:
        return NO_RUNS
    head = "MODEL | FRAMEWORK | BATCH SIZE | EPOCHS | ACCURACY | PARAMS | TRAIN ACCURACY | SOURCE'S CLAIM"
    rows = [_result(group, groups) for group in groups]
    overview = next(picture for picture in plots.planned(tables) if picture.file == "overview.png")
    return "\n\n".join(
        part
        for part in [
            verdict_tables.summary_table(tables),
            _image(overview, link),
            markdown(head.split(" | "), rows, right=(2, 3, 4, 5, 6)),
            "ACCURACY is on the 10,000 test images after the last epoch: mean ± sample standard deviation "
            "over n seeds; runs of one seed are averaged first, and their number is given apart. TRAIN "
            "ACCURACY is the mean over the last epoch's training batches, with dropout and augmentation on. "
            "Compare the rows of one network only: different networks have different recipes.",
            *_remarks(tables, groups, benchmarks),
        ]
        if part
    )


def _result(group: Group, groups: Sequence[Group]) -> list[str]:
    """The row of a group; settings stand behind the framework if it has several groups of the network."""
    same = [other for other in groups if (other.model, other.framework) == (group.model, group.framework)]
    varying = {field for other in same for field in pooling.differences(group.fields, other.fields)}
    note = "".join(
        f", {field} {pooling.format_value(group.fields[field])}"
        for field in pooling.POOLED
        if field in varying
    )
    return [
        f"`{group.model}`",
        display_name(group.framework) + note,
        *(f"{group.fields['batch_size']}", f"{group.fields['epochs']}"),
        accuracy(group, "accuracy"),
        f"{int(group.runs['parameters'].iloc[0]):,}",
        accuracy(group, "train_accuracy"),
        ZOO[group.model].claim,
    ]


def _remarks(tables: Tables, groups: Sequence[Group], benchmarks: str) -> list[str]:
    """Differing settings within a network, missing runs, and the number of runs outside the table."""
    remarks = []
    differing = run_tables.differing(groups)
    if differing:
        remarks.append(f"{run_tables.DIFFERING}\n\n{listed(differing)}")
    present = {(group.model, group.framework.lower()) for group in groups}
    missing = [f"`{m}` in {display_name(f)}" for m in ZOO for f in FRAMEWORKS if (m, f) not in present]
    if missing:
        remarks.append(f"Not run yet: {', '.join(missing)}.")
    shown = sum(len(group.runs) for group in groups)
    finished = int((tables.runs["status"] == "ok").sum())
    remarks.append(
        f"Runs in this table: {shown}. In [benchmarks.md]({benchmarks}): their times, memory and machines, "
        f"runs with other settings ({finished - shown}) and failed ones ({len(tables.runs) - finished})."
    )
    return remarks


def walk_through_block(tables: Tables, link: str) -> str:
    """Every picture but the overview, with its caption; of pictures per network those of SHOWN, and links."""
    pictures = [picture for picture in plots.planned(tables) if picture.file != "overview.png"]
    if not pictures:
        return NO_RUNS
    models = [picture.model for picture in pictures if picture.model and not _alone(picture, pictures)]
    shown = SHOWN if SHOWN in models else next(iter(models), "")
    parts, others = [], []
    for picture in pictures:
        if _alone(picture, pictures) or picture.model == shown:
            parts.append(f"### {picture.title}\n\n{_image(picture, link)}\n\n{picture.caption}")
        else:
            others.append(f"[{picture.title}]({link}/{picture.file})")
    if others:
        parts.append("### The other networks\n\n" + listed(others))
    return "\n\n".join(parts)


def _alone(picture: plots.Picture, pictures: Iterable[plots.Picture]) -> bool:
    """Whether no other network has a picture of this kind."""
    return picture.kind is None or sum(other.kind == picture.kind for other in pictures) == 1


def _image(picture: plots.Picture, link: str) -> str:
    return f"![{picture.title}]({link}/{picture.file})"


def zoo_block(entries: Iterable[Entry]) -> str:
    """The networks: size, recipe, source, and the assumptions made where the source is silent."""
    entries = list(entries)
    head = "NAME | PARAMS | MULTIPLY-ADDS | BATCH SIZE | EPOCHS | TRAINING | SOURCE"
    rows = [
        [
            f"`{entry.name}`",
            f"{entry.spec.parameters:,}",
            f"{entry.spec.multiply_adds:,}",
            *(str(entry.recipe.batch_size), str(entry.recipe.epochs)),
            _training(entry),
            sources.link(entry.source, entry.address),
        ]
        for entry in entries
    ]
    assumed = [f"`{entry.name}`: {entry.assumed}" for entry in entries if entry.assumed]
    table = markdown(head.split(" | "), rows, right=(1, 2, 3, 4))
    return f"{table}\n\nAssumed where a source is silent or wrong:\n\n{listed(assumed)}"


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
