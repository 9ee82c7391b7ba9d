"""`python -m common.check`: compare accuracies with those that are recorded for each network.

The means over seeds of the zoo's own recipes, or of the networks that `--models` names, must reach
thresholds, which follow from the recorded mean and spread and from the number of seeds
(`common.analysis.thresholds`). Of networks that have a verdict ten seeds that lost 0.3 points nearly always
fail; one seed fails if it is about four standard deviations of its network's seeds too low. The exit status
is 1, with a table of the failures, or 0, with a table of all comparisons. A check without any comparison
fails.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import search_path

    search_path.leave_current_folder()
    from common.cli import ends

    ends.start("check")

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from common.analysis import frames, pooling, thresholds
from common.analysis.frames import Tables
from common.analysis.pooling import Group, recipe_runs
from common.cli.arguments import network
from common.cli.parser import Parser
from common.cli.paths import path
from common.cli.text_table import aligned
from common.data.datasets import DATASETS
from common.frameworks import FRAMEWORKS, ROOT, display_name
from common.model.entry import Entry, Recorded
from common.model.own_network import entry_of
from common.model.zoo import ZOO
from common.tables.store import ResultsError


@dataclass(frozen=True)
class Finding:
    """A comparison of a network in a framework with a threshold, in percent.

    `accuracy` is the mean over seeds, or for the last two epochs the lowest of any run. `failure` is the
    reason why the comparison fails, and empty if it passes.
    """

    model: str
    framework: str
    accuracy: float | None
    seeds: int
    threshold: float | None
    failure: str = ""


def findings(
    tables: Tables,
    *,
    entries: Mapping[str, Entry] = ZOO,
    first_epoch: bool = False,
    complete: bool = False,
) -> list[Finding]:
    """Every group of the recipes of `entries` against its thresholds; with `first_epoch`, runs of one epoch
    instead.

    Failures are also every run with an accuracy of 100 %, and with `complete` every network without runs or
    without a recorded accuracy.
    """
    runs = _first_epochs(tables, entries) if first_epoch else recipe_runs(tables.runs, entries.values())
    groups = pooling.groups(runs)
    result = []
    for group in groups:
        entry = entries[group.model]
        compared = entry.first_epoch if first_epoch else entry.accuracy
        result.append(_finding(group, "accuracy", compared, required=complete))
    if not first_epoch:
        result += [
            _finding(group, "shifted_accuracy", compared)
            for group in groups
            if (compared := entries[group.model].tta) is not None
        ]
        result += [
            _last_two(group, tables.epochs, threshold)
            for group in groups
            if (threshold := entries[group.model].last_two_epochs_threshold) is not None
        ]
    result += _perfect(tables.runs)
    if complete:
        result += _missing(groups, entries)
    return result


def _first_epochs(tables: Tables, entries: Mapping[str, Entry]) -> pd.DataFrame:
    """Default runs of one epoch of the networks, with `accuracy` from epochs.csv."""
    runs = pooling.default_runs(tables.runs)
    runs = runs[(runs["epochs"] == 1) & runs["model"].isin(set(entries))]
    epochs = tables.epochs[tables.epochs["epoch"] == 1]
    accuracy = dict(zip(epochs["run"], epochs["accuracy"], strict=True))
    return runs.assign(accuracy=[accuracy.get(run, float("nan")) for run in runs["run"]])


def _finding(group: Group, column: str, recorded: Recorded | None, *, required: bool = False) -> Finding:
    """The mean of an accuracy column, which every run must have, against the threshold for so many seeds.

    Without a `recorded` accuracy there is no threshold, which is a failure where it is `required`.
    """
    accuracy, runs = group.summary(column), len(group.runs)
    threshold = None if recorded is None else thresholds.threshold(recorded, group.seeds)
    failure = ""
    if missing := int(group.runs[column].isna().sum()):
        failure = f"{missing} of {runs} runs have no accuracy"
    elif threshold is None and required:
        failure = "its entry has no recorded accuracy"
    elif accuracy is not None and threshold is not None and accuracy.mean < threshold:
        failure = "below the threshold"
    mean = None if accuracy is None else accuracy.mean
    return Finding(group.model, group.framework, mean, group.seeds, threshold, failure)


def _last_two(group: Group, epochs: pd.DataFrame, threshold: float) -> Finding:
    """The lowest accuracy in the last two epochs of any run, against the threshold for them."""
    last = group.runs.set_index("run")["epochs"]
    rows = epochs[epochs["run"].isin(set(last.index))]
    lowest = float(rows[rows["epoch"] > rows["run"].map(last) - 2]["accuracy"].min())
    if math.isnan(lowest):
        failure = "no rows in epochs.csv"
        return Finding(group.model, group.framework, None, group.seeds, threshold, failure)
    passes = lowest >= threshold
    failure = "" if passes else "one of the last two epochs of a run is below the threshold"
    return Finding(group.model, group.framework, lowest, group.seeds, threshold, failure)


def _perfect(runs: pd.DataFrame) -> list[Finding]:
    """Runs with 100 % accuracy on a whole test set of 10,000 images: MNIST's has 15 wrong labels, so test
    labels have leaked."""
    on_test_set = runs["dataset"].isin(DATASETS)
    perfect = runs[(runs["status"] == "ok") & on_test_set & (runs["accuracy"] >= 100)]
    return [
        Finding(model, framework, accuracy, 1, None, f"100 % means leaked test labels (run {run})")
        for model, framework, accuracy, run in zip(
            *(perfect[column] for column in ("model", "framework", "accuracy", "run")), strict=True
        )
    ]


def _missing(groups: Sequence[Group], entries: Mapping[str, Entry]) -> list[Finding]:
    """Networks that have no runs in a framework."""
    present = {(group.model, group.framework) for group in groups}
    frameworks = list(dict.fromkeys([*FRAMEWORKS, *(group.framework for group in groups)]))
    return [
        Finding(model, framework, None, 0, None, "no runs")
        for model in entries
        for framework in frameworks
        if (model, framework) not in present
    ]


def table(findings: Sequence[Finding]) -> str:
    """Findings as aligned text, a line each."""
    rows = [("MODEL", "FRAMEWORK", "ACCURACY %", "SEEDS", "THRESHOLD %", "FAILURE")]
    for finding in findings:
        accuracy = "" if finding.accuracy is None else f"{finding.accuracy:.3f}"
        threshold = "" if finding.threshold is None else f"{finding.threshold:.3f}"
        name = display_name(finding.framework)
        rows.append((finding.model, name, accuracy, str(finding.seeds), threshold, finding.failure))
    return aligned(rows, right=(2, 3, 4))


def recorded_lines(tables: Tables, entries: Mapping[str, Entry] = ZOO) -> list[str]:
    """The fields of each network's entry, as these tables have them, a line a network."""
    first = tables.epochs[tables.epochs["epoch"] == 1].set_index("run")["accuracy"]
    runs = recipe_runs(tables.runs, entries.values())
    groups = pooling.largest_groups(pooling.groups(runs.assign(first_epoch=runs["run"].map(first))))
    fields = {"accuracy": "accuracy", "first_epoch": "first_epoch", "tta": "shifted_accuracy"}
    lines = []
    for model in dict.fromkeys(group.model for group in groups):
        same = [group for group in groups if group.model == model]
        values = {field: thresholds.recorded(same, column) for field, column in fields.items()}
        lines.append(f"{model}: " + ", ".join(f"{field}={value!r}" for field, value in values.items()))
    return lines


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
    entries = {entry.name: entry for entry in map(entry_of, options.models)}
    try:
        tables = frames.read(options.results)
    except ResultsError as error:
        print(error, file=sys.stderr)
        return 1
    if options.recorded:
        print("\n".join(recorded_lines(tables, entries)))
        return 0
    kind = {"first_epoch": options.first_epoch, "complete": options.complete}
    all_findings = findings(tables, entries=entries, **kind)
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
