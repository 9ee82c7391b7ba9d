"""`python -m common.report`: the tables become README.md's marked blocks, two more pages, and figures.

What stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` is written here and nowhere else, from the
tables, the zoo and the command line; so no number in the pages is typed by hand, and `--check` can tell when
one is stale.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.analysis import frames, pooling, verdicts
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.cli import arguments
from common.data.datasets import DataError, load
from common.frameworks import FRAMEWORKS, ROOT, display_name
from common.model.entry import Entry
from common.model.recipe import short_name
from common.model.zoo import ZOO
from common.report import benchmarks, plots, scaling
from common.report.benchmarks import accuracy
from common.report.markdown import listed, markdown
from common.tables.schema import TABLES, columns
from common.tables.store import ResultsError

NO_RUNS = "No runs yet."
SHOWN = "under-5k"
"""The network whose confusion matrix and wrong images the README shows; the others' are linked."""

HELP_WIDTH = 100


class ReportError(Exception):
    """A page that cannot be rendered; the message is for the person at the terminal."""


def fill(page: str, blocks: Mapping[str, str]) -> str:
    """`page` with each of `blocks`, by name, between its markers.

    Raises ReportError unless the markers in the page are exactly those of `blocks`, each pair once, in order.
    """
    markers = re.findall(r"<!-- ([a-z-]+):(begin|end) -->", page)
    expected = sorted((name, side) for name in blocks for side in ("begin", "end"))
    if sorted(markers) != expected or any(
        first[0] != second[0] or first[1] != "begin"
        for first, second in zip(markers[::2], markers[1::2], strict=True)
    ):
        raise ReportError(
            "README.md needs the markers <!-- NAME:begin --> and <!-- NAME:end --> once each, for "
            f"{', '.join(blocks)}, and no others; "
            f"it has {', '.join(':'.join(pair) for pair in markers) or 'none'}."
        )
    for name, block in blocks.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{block.strip()}\n{end}{rest.partition(end)[2]}"
    return page


def pages(tables: Tables, *, root: Path, results: Path) -> dict[Path, str]:
    """What README.md and benchmarks.md in `root` should be; pictures are linked in `results`/plots.

    Raises ReportError if there is no README.md or its markers are not as they must be.
    """
    readme = root / "README.md"
    if not readme.exists():
        raise ReportError(f"There is no {readme}, whose marked blocks are to be written.")
    link = Path(os.path.relpath(results / "plots", root)).as_posix()
    blocks = {
        "results": results_block(tables, link),
        "walk-through": walk_through_block(tables, link),
        "zoo": zoo_block(ZOO.values()),
        "command-line": command_line_block(),
        "columns": columns_block(),
    }
    return {
        readme: fill(readme.read_text(encoding="utf-8"), blocks),
        root / "benchmarks.md": benchmarks.page(tables),
    }


def results_block(tables: Tables, link: str) -> str:
    """Verdicts, the overview, the zoo's own recipes with the sources' claims beside them, what to know."""
    groups = pooling.groups(pooling.zoo_runs(tables.runs))
    if not groups:
        return NO_RUNS
    head = "MODEL | FRAMEWORK | BATCHES | EPOCHS | ACCURACY | PARAMS | TRAIN ACCURACY | SOURCE'S CLAIM"
    rows = [_result(group, groups) for group in groups]
    overview = next(picture for picture in plots.planned(tables) if picture.file == "overview.png")
    return "\n\n".join(
        part
        for part in [
            verdicts.summary_table(tables),
            _image(overview, link),
            markdown(head.split(" | "), rows, right=(2, 3, 4, 5, 6)),
            "ACCURACY is on the 10,000 test images after the last epoch: mean ± sample standard deviation "
            "over n runs with different seeds. TRAIN ACCURACY is the mean over the last epoch's training "
            "batches, with dropout and augmentation on. The rows of one network can be compared; networks "
            "have different recipes, so no row is ranked against another network's.",
            *_remarks(tables, groups),
        ]
        if part
    )


def _result(group: Group, groups: Sequence[Group]) -> list[str]:
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


def _remarks(tables: Tables, groups: Sequence[Group]) -> list[str]:
    """What differs between the rows of a network, what was not run, what is not in the table."""
    remarks = []
    differing = benchmarks.differing(groups)
    if differing:
        remarks.append(f"{benchmarks.DIFFERING}\n\n{listed(differing)}")
    there = {(group.model, group.framework.lower()) for group in groups}
    missing = [f"`{m}` in {display_name(f)}" for m in ZOO for f in FRAMEWORKS if (m, f) not in there]
    if missing:
        remarks.append(f"Not run yet: {', '.join(missing)}.")
    shown = sum(len(group.runs) for group in groups)
    done = int((tables.runs["status"] == "ok").sum())
    remarks.append(
        f"Runs in this table: {shown}. In [benchmarks.md](benchmarks.md): their times, memory and machines, "
        f"runs with other settings ({done - shown}) and failed ones ({len(tables.runs) - done})."
    )
    return remarks


def walk_through_block(tables: Tables, link: str) -> str:
    """Every planned picture but the overview, with its caption; of a kind with one a network, one."""
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
    """Whether there is no picture of its kind of another network."""
    return picture.kind is None or sum(other.kind == picture.kind for other in pictures) == 1


def _image(picture: plots.Picture, link: str) -> str:
    return f"![{picture.title}]({link}/{picture.file})"


def zoo_block(entries: Iterable[Entry]) -> str:
    """The networks: size, recipe, source, threshold, and what was assumed."""
    entries = list(entries)
    head = "NAME | PARAMS | MULTIPLY-ADDS | BATCHES | EPOCHS | TRAINING | THRESHOLD | SOURCE"
    rows = [
        [
            f"`{entry.name}`",
            f"{entry.spec.parameters:,}",
            f"{entry.spec.multiply_adds:,}",
            *(str(entry.recipe.batch_size), str(entry.recipe.epochs)),
            _training(entry),
            f"{entry.threshold:g} %",
            entry.source,
        ]
        for entry in entries
    ]
    assumed = [f"`{entry.name}`: {entry.assumed}" for entry in entries if entry.assumed]
    table = markdown(head.split(" | "), rows, right=(1, 2, 3, 4, 6))
    return f"{table}\n\nAssumed where a source is silent or wrong:\n\n{listed(assumed)}"


def _training(entry: Entry) -> str:
    recipe = entry.recipe
    parts = [f"{short_name(recipe.optimizer)} at {recipe.lr:g}", short_name(recipe.schedule)]
    if recipe.augment:
        parts.append(short_name(recipe.augment))
    return ", ".join([*(f"`{part}`" for part in parts), *recipe.details()])


def command_line_block() -> str:
    """What `--help` prints, 100 columns wide, with no path of this machine in it."""
    parser = arguments.parser(next(iter(FRAMEWORKS)))
    # The width of argparse is its formatter's; two columns are its margin, as for a terminal.
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


def write(path: Path, text: str) -> None:
    """Write a page whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def stale(wanted: Mapping[Path, str]) -> str:
    """A unified diff from the pages as they are to what they should be; empty when they are."""
    parts: list[str] = []
    for path, text in wanted.items():
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        parts += difflib.unified_diff(
            *(found.splitlines(keepends=True), text.splitlines(keepends=True)),
            *(f"{path.name} (as it is)", f"{path.name} (as the tables say)"),
        )
    return "".join(parts)


def parser() -> argparse.ArgumentParser:
    """The command line of this module."""
    result = argparse.ArgumentParser(
        prog="python -m common.report",
        description="Write README.md's marked blocks, benchmarks.md and results/plots from the tables.",
    )
    add = result.add_argument
    add("--results", type=Path, metavar="DIR", help="where the tables are and plots go (default: results)")
    add("--data-dir", type=Path, metavar="DIR", help="where the data set is kept (default: the user's cache)")
    add("--check", action="store_true", help="write nothing; exit 1 with a diff if a page is stale")
    return result


def main(argv: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the command line on the pages in `root`; returns the exit status."""
    options = parser().parse_args(argv)
    results = (options.results or root / "results").resolve()
    try:
        tables = frames.read(results)
        wanted = pages(tables, root=root, results=results)
        if told := scaling.page(tables):
            wanted[root / "docs" / "scale.md"] = told
        if options.check:
            return _check(wanted)
        if tables.runs.empty:
            print(f"There are no runs in {results / 'results.csv'} yet.")
        # Before anything is written: without data there are no pictures, and a page would link to none.
        dataset = load("mnist", data_dir=options.data_dir, log=print) if plots.planned(tables) else None
        if dataset is not None:
            drawn = plots.draw(tables, dataset, results / "plots")
            print(f"Wrote {len(drawn)} figures to {results / 'plots'}.")
    except (ReportError, ResultsError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in wanted.items():
        write(path, text)
        print(f"Wrote {path}.")
    return 0


def _check(wanted: Mapping[Path, str]) -> int:
    difference = stale(wanted)
    if not difference:
        print(f"{', '.join(path.name for path in wanted)} say what the tables say.")
        return 0
    print(difference, end="")
    print("The pages are stale: run python -m common.report.", file=sys.stderr)
    return 1
