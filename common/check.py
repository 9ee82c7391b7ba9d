"""`python -m common.check`: compare accuracies with those that are recorded for each network.

The means over seeds of the zoo's own recipes, or of the networks that `--models` names, must reach
thresholds, which follow from the recorded mean and spread and from the number of seeds
(`common.analysis.thresholds`). Of networks that have a verdict ten seeds that lost 0.3 points fail in at
least four of five reruns; one seed fails if it is about four standard deviations of its network's seeds
too low. The exit status is 1, with a table of the failures, or 0, with a table of all comparisons. A
check without any run fails.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import search_path

    search_path.leave_current_folder()
    from common.cli import ends

    ends.start("check")

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.cli.arguments import network
from common.cli.parser import Parser
from common.cli.paths import path
from common.cli.text_table import aligned
from common.frameworks import ROOT, display_name
from common.model.own_network import entry_of
from common.model.zoo import ZOO
from common.tables.store import ResultsError

if TYPE_CHECKING:
    from common.analysis.regressions import Finding


def table(findings: Sequence[Finding]) -> str:
    """Findings as aligned text, a line each."""
    rows = [("MODEL", "FRAMEWORK", "ACCURACY %", "SEEDS", "THRESHOLD %", "FAILURE")]
    for finding in findings:
        accuracy = "" if finding.accuracy is None else f"{finding.accuracy:.3f}"
        threshold = "" if finding.threshold is None else f"{finding.threshold:.3f}"
        name = display_name(finding.framework)
        rows.append((finding.model, name, accuracy, str(finding.seeds), threshold, finding.failure))
    return aligned(rows, right=(2, 3, 4))


def parser() -> Parser:
    """The command line of this module."""
    result = Parser(
        prog="python -m common.check",
        description="Compare accuracies with those recorded of each network; exit 1 if one is too low.",
    )
    add = result.add_argument
    add(
        "--results",
        type=path,
        default=ROOT / "results",
        metavar="DIR",
        help="the folder of the tables (default: results)",
    )
    add(
        "--models",
        nargs="+",
        type=network,
        default=tuple(ZOO),
        metavar="NAME|FILE.py[:NAME]",
        help="networks to check, of the zoo or of your own files (default: all of the zoo)",
    )
    add("--complete", action="store_true", help="fail also for a network without runs in a framework")
    modes = result.add_mutually_exclusive_group()
    modes.add_argument(
        "--first-epoch", action="store_true", help="check runs of --epochs 1, against the thresholds for them"
    )
    modes.add_argument(
        "--recorded",
        action="store_true",
        help="print what the tables have for the entries, and end",
    )
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(argv)
    from common.analysis import frames, regressions  # and pandas: not for --help

    entries = {entry.name: entry for entry in map(entry_of, options.models)}
    try:
        tables = frames.read(options.results)
    except ResultsError as error:
        print(error, file=sys.stderr)
        return 2
    if options.recorded:
        print("\n".join(regressions.recorded_lines(tables, entries)))
        return 0
    kind = {"first_epoch": options.first_epoch, "complete": options.complete}
    all_findings = regressions.findings(tables, entries=entries, **kind)
    failures = [finding for finding in all_findings if finding.failure]
    if failures:
        print(f"{len(failures)} of {len(all_findings)} comparisons fail:")
        print(table(failures))
        return 1
    if not all_findings:
        own = sorted(set(frames.apart(tables)[1].runs["model"]) - set(entries))
        named = f"; --models FILE.py checks {', '.join(own)}" if own else ""
        print(
            f"Nothing to check: {options.results / 'results.csv'} has no runs of these recipes{named}.",
            file=sys.stderr,
        )
        return 1
    alone = sum(finding.threshold is None for finding in all_findings)
    print(
        f"All {len(all_findings) - alone} comparisons pass{f'; {alone} have no threshold' if alone else ''}:"
    )
    print(table(all_findings))
    return 0


if __name__ == "__main__":
    ends.run(main)
