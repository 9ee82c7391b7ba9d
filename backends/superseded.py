"""`python -m backends.superseded`: list recorded runs and traces whose backend computes differently today.

With --remove they leave the tables, so that the next bench records them again; git keeps them. Runs older
than the column `numerics` receive their number, from the commit that made them. Traces have no such column;
they go by their commit, and a session that compares a network's frameworks leaves as a whole.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from backends.pytorch.numerics import CHANGES as PYTORCH
from backends.tensorflow.numerics import CHANGES as TENSORFLOW
from common.frameworks import ROOT
from common.model.zoo import ZOO
from common.tables import store
from common.tables.rewrite import Cells, keep, rewrite
from common.training.numerics import Change, number

CHANGES = {"pytorch": PYTORCH, "tensorflow": TENSORFLOW}


class HistoryError(Exception):
    """A clone without the whole history; the message is a sentence."""


@cache
def contains(commit: str, change: str) -> bool:
    """Whether the code of `commit`, as a row names it, has the commit `change` in its history; not so of a
    commit that git does not know. Raises HistoryError where it does not know the change."""
    words = "merge-base", "--is-ancestor", change, commit.removesuffix("-dirty")
    status = _git(*words)
    if status > 1 and _git("cat-file", "-e", change):
        raise HistoryError(
            f"This clone lacks commit {change}; `git fetch --unshallow` gets the whole history."
        )
    return status == 0


def _git(*words: str) -> int:
    """The exit status of git."""
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True).returncode


def recorded_number(
    row: Cells, changes: Sequence[Change], *, contains: Callable[[str, str], bool] = contains
) -> int:
    """The number of the arithmetic that made a row of a network of the zoo."""
    if row["numerics"]:
        return int(row["numerics"])
    entry = ZOO[row["model"]]
    return number(
        *(changes, entry.spec, entry.recipe.optimizer),
        has=lambda change: contains(row["commit"], change.commit),
    )


def with_number(row: Cells, *, contains: Callable[[str, str], bool] = contains) -> tuple[Cells, bool]:
    """The row with its number, and whether its network is computed differently today or left the zoo. Of a
    network of a user's own file that cannot be decided: its row stays."""
    if row["model_file"]:
        return row, False
    entry = ZOO.get(row["model"])
    if entry is None:
        return row, True
    changes = CHANGES.get(row["framework"], ())
    recorded = recorded_number(row, changes, contains=contains)
    current = number(changes, entry.spec, entry.recipe.optimizer)
    return row | {"numerics": str(recorded)}, recorded < current


def superseded_traces(
    rows: Iterable[Cells], *, contains: Callable[[str, str], bool] = contains
) -> set[tuple[str, str]]:
    """Session and network of the zoo's traces in which a framework computes differently today."""
    columns = ("sitting", "model", "framework", "commit")
    sources = {tuple(row[column] for column in columns) for row in rows if row["model"] in ZOO}
    return {
        (session, model)
        for session, model, framework, commit in sources
        if with_number(
            {"model": model, "framework": framework, "commit": commit, "numerics": "", "model_file": ""},
            contains=contains,
        )[1]
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; its exit status: 0, or 2 where a table or git's history cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m backends.superseded", description=__doc__)
    add = parser.add_argument
    add("--results", type=Path, default=ROOT / "results", metavar="DIR", help="folder of the tables")
    add("--models", nargs="+", metavar="NAME", help="networks whose rows are considered (default: all)")
    add("--remove", action="store_true", help="remove the rows from the tables, and fill in the numbers")
    options = parser.parse_args(argv)
    try:
        _list(options)
    except (HistoryError, store.ResultsError) as error:
        print(f"superseded: {error}", file=sys.stderr)
        return 2
    return 0


def _list(options: argparse.Namespace) -> None:
    """Print the superseded rows, and remove them if that is wanted."""
    runs: Counter[tuple[str, str]] = Counter()

    def kept(row: Cells) -> Cells | None:
        numbered, superseded = with_number(row)
        if superseded and (options.models is None or row["model"] in options.models):
            runs[row["model"], row["framework"]] += 1
            return None
        return numbered

    traces = {
        (session, model)
        for session, model in superseded_traces(store.rows(options.results, "traces.csv"))
        if options.models is None or model in options.models
    }
    if options.remove:
        rewrite(options.results, kept)
        if traces:
            keep(options.results, "traces.csv", lambda row: (row["sitting"], row["model"]) not in traces)
    else:
        for row in store.rows(options.results, "results.csv"):
            kept(row)
    done = " removed" if options.remove else ""
    for (model, framework), count in sorted(runs.items()):
        print(f"{model:24} {framework:12} {count:4} runs{done}")
    for model, count in sorted(Counter(model for _, model in traces).items()):
        print(f"{model:24} {'both':12} {count:4} sessions of traces{done}")


if __name__ == "__main__":
    raise SystemExit(main())
