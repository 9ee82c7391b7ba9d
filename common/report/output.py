"""Output of `python -m common.report`: the pages, the pictures, the explorer or a diff."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from common import files
from common.analysis import frames
from common.analysis.answer import answer_of
from common.data.datasets import DataError
from common.data.source import load
from common.report import answer, comparison, own_networks, own_pictures, plots
from common.report.explorer import page as explorer
from common.report.explorer.page import LibraryError
from common.report.pages import ReportError, pages, report, stale, write
from common.tables.store import ResultsError


def run(options: Namespace, results: Path, *, root: Path) -> int:
    """Write what the options require, from the tables in the folder `results` and those of the project in
    `root`; the exit status."""
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
        return 2
    except OSError as error:
        print(f"Cannot write {error.filename or results}: {error.strerror or error}.", file=sys.stderr)
        return 1
    return 0


def _check(wanted: Mapping[Path, str]) -> int:
    """Print a diff of the stale pages; the exit status, 1 if there are any."""
    difference = stale(wanted)
    if not difference:
        verb = "is" if len(wanted) == 1 else "are"
        print(f"{', '.join(page.name for page in wanted)} {verb} up to date.")
        return 0
    print(difference, end="")
    print("The pages above are stale; to update them, run python -m common.report.", file=sys.stderr)
    return 1
