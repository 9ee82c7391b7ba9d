"""The rendered pages, from the tables, the zoo and the command line.

The pages of `marked` are rendered between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, and nowhere else;
benchmarks.md and the others in docs/ are rendered whole. So no number in the pages is typed by hand, and a
stale one can be detected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import files
from common.analysis.answer import answer_of
from common.analysis.frames import Tables, apart
from common.model.zoo import ZOO
from common.report import (
    benchmarks,
    comparison,
    gallery,
    own_networks,
    port_tables,
    questions,
    readme,
    reference,
    scaling,
    sources,
)
from common.report.markdown import listed
from common.report.plots import Picture

MARKED = {
    "README.md": "results",
    "docs/gallery.md": "pictures",
    "docs/zoo.md": "zoo",
    "docs/command-line.md": "command-line",
    "docs/columns.md": "columns",
    "docs/port.md": "proof",
}
"""The pages with typed text, and the name of their rendered block."""


class ReportError(Exception):
    """A page that cannot be rendered; the message is for the person at the terminal."""


def pages(tables: Tables, *, root: Path) -> dict[Path, str]:
    """The text of every page in `root` of the recorded tables, by path.

    Raises ReportError if one of MARKED is not there, or if its markers are not exactly those of its block.
    """
    of_zoo = apart(tables)[0]
    blocks = {
        "results": readme.results_block(of_zoo, "results/plots"),
        "pictures": gallery.block(of_zoo, "../results/plots"),
        "zoo": reference.zoo_block(ZOO.values()),
        "command-line": reference.command_line_block(),
        "columns": reference.columns_block(),
        "proof": port_tables.block(of_zoo.ports),
    }
    result = {}
    for name, block in MARKED.items():
        path = root / name
        if not path.exists():
            raise ReportError(f"There is no {path}, whose marked block is to be written.")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ReportError(
                f"{path} cannot be read: {getattr(error, 'strerror', None) or error}."
            ) from None
        result[path] = fill(text, {block: blocks[block]}, page=name)
    result |= {
        root / "benchmarks.md": benchmarks.page(tables),
        root / "docs" / "sources.md": sources.page(of_zoo),
        root / "docs" / "questions.md": questions.page(answer_of(of_zoo)),
    }
    if scale := scaling.page(of_zoo):
        result[root / "docs" / "scale.md"] = scale
    return result


def report(tables: Tables, *, recorded: Tables, own: Sequence[Picture] = ()) -> str:
    """The text of report.md for the tables of another folder than results/.

    It has the networks of users' own files first, and pictures of a user's `own` data; unless there are only
    these, a comparison with the `recorded` tables, results and pictures, and all of benchmarks.md.
    """
    of_zoo, section = apart(tables)[0], own_networks.section(tables)
    with_zoo = len(of_zoo.runs) > 0 or not section
    parts = [f"# {own_networks.TITLE}", section] if section else []
    if with_zoo:
        parts += [
            "# Comparison",
            listed(comparison.sentences(of_zoo, recorded)),
            "# Results",
            readme.results_block(of_zoo, "plots", benchmarks="#benchmarks"),
            "# Pictures",
            gallery.block(of_zoo, "plots"),
        ]
    parts += ["# Pictures of your own data", gallery.listed(own, "plots")] if own else []
    parts += [benchmarks.page(tables, "plots", with_own=False)] if with_zoo else []
    return "\n\n".join(parts).rstrip() + "\n"


def fill(text: str, blocks: Mapping[str, str], *, page: str = "The page") -> str:
    """`text` with each of `blocks` between the markers of its name.

    Raises ReportError, which names the `page`, unless it has exactly one pair of markers for each block,
    begin before end.
    """
    markers = re.findall(r"<!-- ([a-z-]+):(begin|end) -->", text)
    expected = sorted((name, side) for name in blocks for side in ("begin", "end"))
    if sorted(markers) != expected or any(
        first[0] != second[0] or first[1] != "begin"
        for first, second in zip(markers[::2], markers[1::2], strict=True)
    ):
        raise ReportError(
            f"{page} needs the markers <!-- NAME:begin --> and <!-- NAME:end --> once each, for "
            f"{', '.join(blocks)}, and no others; "
            f"it has {', '.join(':'.join(pair) for pair in markers) or 'none'}."
        )
    for name, block in blocks.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{block.strip()}\n{end}{rest.partition(end)[2]}"
    return text


def write(path: Path, text: str) -> None:
    """Write a page, which is never half written."""
    path.parent.mkdir(exist_ok=True)
    files.write(path, text.encode())


def stale(wanted: Mapping[Path, str]) -> str:
    """A unified diff from the present pages to the `wanted` ones; empty if they are equal."""
    parts: list[str] = []
    for path, text in wanted.items():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        parts += difflib.unified_diff(
            *(present.splitlines(keepends=True), text.splitlines(keepends=True)),
            *(f"{path.name} (present)", f"{path.name} (rendered)"),
        )
    return "".join(parts)
