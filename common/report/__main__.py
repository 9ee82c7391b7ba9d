"""`python -m common.report`: render the pages and the figures, and print the answer.

The tables of a folder other than results/ are rendered to report.md and plots in that folder, and compared
with those of results/; no other file is written. With `--html FILE` only the explorer is written, to FILE.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import search_path

    search_path.leave_current_folder()
    from common.cli import ends

    ends.start("report")

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import files
from common.analysis import frames
from common.analysis.answer import answer_of
from common.cli.parser import Parser
from common.cli.paths import output_error, path
from common.data.datasets import DataError
from common.data.source import load
from common.frameworks import ROOT
from common.report import answer, comparison, own_networks, own_pictures, plots
from common.report.explorer import page as explorer
from common.report.explorer.page import LibraryError
from common.report.pages import ReportError, pages, report, stale, write
from common.tables.store import ResultsError


def parser() -> Parser:
    """The command line of this module."""
    result = Parser(
        prog="python -m common.report",
        description="Write the pages and results/plots from the tables, and print the answer.",
    )
    add = result.add_argument
    add(
        "--results",
        type=path,
        metavar="DIR",
        help="folder of the tables (default: results); another one gets its own report.md and plots",
    )
    add(
        "--dataset",
        metavar="FOLDER|FILE.npz",
        help="your own data, on which runs in DIR were tested: adds pictures of them to DIR/report.md",
    )
    add("--data-dir", type=path, metavar="DIR", help="the folder of the data set (default: the user's cache)")
    modes = result.add_mutually_exclusive_group()
    modes.add_argument(
        "--html",
        type=path,
        metavar="FILE",
        help="write only FILE: verdicts, speed, every run and the curves, to sort, filter and copy, offline",
    )
    modes.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 with a diff if a page is stale"
    )
    return result


def main(argv: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the command line on the project in `root`; returns the exit status."""
    command = parser()
    options = command.parse_args(argv)
    results = (options.results or root / "results").resolve()
    if options.results and not results.is_dir():
        command.error(f"--results {options.results}: there is no such folder.")
    if options.dataset and not options.results:
        command.error("--dataset is for --results DIR, whose report.md gets the pictures.")
    if options.html and (fault := output_error(options.html)):
        command.error(f"--html: {fault}")
    try:
        tables = frames.read(results)
        of_zoo = frames.apart(tables)[0]
        if options.html:
            files.write(options.html, explorer.page(tables).encode())
            print(f"Wrote {options.html}.")
            return 0
        own = load(options.dataset, data_dir=options.data_dir, log=print) if options.dataset else None
        own_planned = own_pictures.planned(tables, own) if own else []
        if own and not own_planned:
            raise ReportError(f"{results / 'results.csv'} has no finished run on {own.name}.")
        elsewhere = results != (root / "results").resolve()
        recorded = frames.apart(frames.read(root / "results"))[0] if elsewhere else None
        if recorded is None:
            wanted = pages(tables, root=root)
        else:
            wanted = {results / "report.md": report(tables, recorded=recorded, own=own_planned)}
        if options.check:
            return _check(wanted)
        if tables.runs.empty:
            print(f"There are no runs in {results / 'results.csv'} yet.")
        for name, models in plots.incomplete(of_zoo).items():
            print(f"{results / name} has no rows of {', '.join(models)}: pictures of them are left out.")
        # Before a page is written: without the data set no picture can be drawn, and links would be broken.
        dataset = load("mnist", data_dir=options.data_dir, log=print) if plots.planned(of_zoo) else None
        if dataset is not None:
            figures = plots.draw(of_zoo, dataset, results / "plots")
            print(f"Wrote {len(figures)} figures to {results / 'plots'}.")
        if own:
            figures = own_pictures.draw(tables, own, results / "plots")
            print(f"Wrote {len(figures)} figures of {own.name} to {results / 'plots'}.")
        for page, text in wanted.items():
            write(page, text)
            print(f"Wrote {page}.")
        if recorded is not None:
            compared = own_networks.text(tables)
            of_recipes = comparison.text(of_zoo, recorded) if len(of_zoo.runs) or not compared else ""
            print("\n" + "\n\n".join(filter(None, [compared, of_recipes])))
        lines = answer.sentences(answer_of(of_zoo if recorded is None else recorded))
        if lines:
            print("\nThe recorded runs of the zoo's networks:" if recorded is not None else "")
            print("\n".join(map(answer.plain, lines)))
    except (ReportError, LibraryError, ResultsError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Cannot write {error.filename or results}: {error.strerror or error}.", file=sys.stderr)
        return 1
    return 0


def _check(wanted: Mapping[Path, str]) -> int:
    """Print a diff of the stale pages; the exit status, 1 if there are any."""
    difference = stale(wanted)
    if not difference:
        print(f"{', '.join(page.name for page in wanted)} are up to date.")
        return 0
    print(difference, end="")
    print("The pages above are stale; to update them, run python -m common.report.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    ends.run(main)
