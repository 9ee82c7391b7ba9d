"""`python -m common.check`: does what is recorded still reach what each network must reach?

Means over the runs of the zoo's own recipes are compared with the zoo's thresholds. Exit status 1 and a table
of what is wrong; 0 and a table of what holds. A check of nothing does not pass.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from common.analysis import frames, pooling
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.frameworks import FRAMEWORKS, ROOT, display_name
from common.model.zoo import ZOO
from common.tables.store import ResultsError


@dataclass(frozen=True)
class Finding:
    """A network in a framework: mean accuracy in percent over n runs, or the lowest that every run's last two
    epochs have, against the threshold.

    `wrong` says what is wrong, and is empty where it holds.
    """

    model: str
    framework: str
    mean: float | None
    n: int
    threshold: float | None
    wrong: str = ""


def findings(tables: Tables, *, first_epoch: bool = False, complete: bool = False) -> list[Finding]:
    """Every group of the zoo's recipes against its threshold; with `first_epoch`, runs of one epoch instead.

    Added to them: every run with an accuracy of 100 %, and with `complete` every network without runs.
    """
    groups = pooling.groups(_first_epochs(tables) if first_epoch else pooling.zoo_runs(tables.runs))
    of_one = "first_epoch_threshold" if first_epoch else "threshold"
    found = [_finding(group, "accuracy", getattr(ZOO[group.model], of_one)) for group in groups]
    if not first_epoch:
        found += [
            _finding(group, "shifted_accuracy", threshold)
            for group in groups
            if (threshold := ZOO[group.model].tta_threshold) is not None
        ]
        found += [
            _last_two(group, tables.epochs)
            for group in groups
            if ZOO[group.model].last_two_epochs_threshold is not None
        ]
    found += _perfect(tables.runs)
    if complete:
        found += _missing(groups)
    return found


def _first_epochs(tables: Tables) -> pd.DataFrame:
    """Default runs of one epoch of networks in the zoo, `accuracy` taken from epochs.csv."""
    runs = pooling.default_runs(tables.runs)
    runs = runs[(runs["epochs"] == 1) & runs["model"].isin(set(ZOO))]
    epochs = tables.epochs[tables.epochs["epoch"] == 1]
    accuracy = dict(zip(epochs["run"], epochs["accuracy"], strict=True))
    return runs.assign(accuracy=[accuracy.get(run, float("nan")) for run in runs["run"]])


def _finding(group: Group, column: str, threshold: float) -> Finding:
    accuracy, runs = group.summary(column), len(group.runs)
    wrong = ""
    if accuracy is None or accuracy.n < runs:
        known = 0 if accuracy is None else accuracy.n
        wrong = f"{runs - known} of {runs} runs have no accuracy"
    elif accuracy.mean < threshold:
        wrong = "below the threshold"
    mean = None if accuracy is None else accuracy.mean
    return Finding(group.model, group.framework, mean, runs, threshold, wrong)


def _last_two(group: Group, epochs: pd.DataFrame) -> Finding:
    """The lowest accuracy of the last two epochs of any run."""
    last = group.runs.set_index("run")["epochs"]
    mine = epochs[epochs["run"].isin(set(last.index))]
    lowest = float(mine[mine["epoch"] > mine["run"].map(last) - 2]["accuracy"].min())
    threshold = ZOO[group.model].last_two_epochs_threshold
    wrong = (
        "" if lowest >= (threshold or 0.0) else "one of the last two epochs of a run is below the threshold"
    )
    return Finding(group.model, group.framework, lowest, len(group.runs), threshold, wrong)


def _perfect(runs: pd.DataFrame) -> list[Finding]:
    """Nobody is right about 10,000 test images, 15 of which have a wrong label: something has leaked."""
    whole = ~runs["dataset"].str.contains("-validation-")
    perfect = runs[(runs["status"] == "ok") & whole & (runs["accuracy"] >= 100)]
    return [
        Finding(model, framework, accuracy, 1, None, f"100 % is a leak, not a result (run {run})")
        for model, framework, accuracy, run in zip(
            *(perfect[column] for column in ("model", "framework", "accuracy", "run")), strict=True
        )
    ]


def _missing(groups: Sequence[Group]) -> list[Finding]:
    there = {(group.model, group.framework) for group in groups}
    frameworks = list(dict.fromkeys([*FRAMEWORKS, *(group.framework for group in groups)]))
    return [
        Finding(model, framework, None, 0, None, "no runs")
        for model in ZOO
        for framework in frameworks
        if (model, framework) not in there
    ]


def table(found: Sequence[Finding]) -> str:
    """Findings as aligned text, a line each."""
    rows = [("MODEL", "FRAMEWORK", "MEAN %", "N", "THRESHOLD %", "WRONG")]
    for one in found:
        mean = "" if one.mean is None else f"{one.mean:.3f}"
        threshold = "" if one.threshold is None else f"{one.threshold:g}"
        rows.append((one.model, display_name(one.framework), mean, str(one.n), threshold, one.wrong))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        "  ".join(
            cell.rjust(width) if place in (2, 3, 4) else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in aligned)


def parser() -> argparse.ArgumentParser:
    """The command line of this module."""
    result = argparse.ArgumentParser(
        prog="python -m common.check",
        description="Compare recorded accuracy with each network's threshold; exit 1 if one fails.",
    )
    add = result.add_argument
    add(
        "--results",
        type=Path,
        default=ROOT / "results",
        metavar="DIR",
        help="where the tables are (default: results)",
    )
    add("--complete", action="store_true", help="fail also where a network has no runs in a framework")
    add(
        "--first-epoch", action="store_true", help="check runs of --epochs 1, against the thresholds for them"
    )
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(argv)
    try:
        tables = frames.read(options.results)
    except ResultsError as error:
        print(error, file=sys.stderr)
        return 1
    found = findings(tables, first_epoch=options.first_epoch, complete=options.complete)
    offenders = [one for one in found if one.wrong]
    if offenders:
        print(f"{len(offenders)} of {len(found)} do not hold:")
        print(table(offenders))
        return 1
    if not found:
        kind = "default runs of one epoch" if options.first_epoch else "runs of the zoo's own recipes"
        print(f"Nothing to check: there are no {kind} in {options.results / 'results.csv'}.", file=sys.stderr)
        return 1
    print(f"All {len(found)} hold:")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
