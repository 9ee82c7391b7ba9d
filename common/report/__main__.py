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

from collections.abc import Sequence
from pathlib import Path

from common.cli.parser import Parser
from common.cli.paths import output_error, path
from common.frameworks import ROOT


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
    from common.report import output  # and pandas and matplotlib: not for --help

    return output.run(options, results, root=root)


if __name__ == "__main__":
    ends.run(main)
