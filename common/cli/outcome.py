"""The last lines of a run: its accuracy beside those of runs with the same settings, and its seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.frameworks import FRAMEWORKS, display_name
from common.tables import store
from common.tables.schema import Run

SAME = ("model", "dataset", "native", "loader", "precision", "recipe_hash")
"""Columns in which the recorded runs agree with the run."""


def lines(run: Run, recorded: Path, *, results: Path) -> list[str]:
    """Meaning of a finished run, by the runs in the folder `recorded`, or for a network of a user's own file
    by those in `results`, where its row is; none for a run that did not finish.

    A table that cannot be read is as one without rows: the run is over, and its own row is written.
    """
    if run.status != "ok" or run.accuracy is None:
        return []
    name = display_name(run.framework)
    trained = "" if run.train_seconds is None else f" after {run.train_seconds:.1f} s of training"
    own = f"{run.model} in {name}, seed {run.seed}: {run.accuracy:.2f} %{trained}"
    total = "" if run.total_seconds is None else f", {run.total_seconds:.1f} s in all"
    by_framework = _accuracies(run, results if run.model_file else recorded)
    others = "; ".join(f"{display_name(name)} {_spread(values)}" for name, values in by_framework.items())
    if not run.model_file:
        compared = (
            f"Recorded with these settings: {others}."
            if others
            else "No run with these settings is recorded."
        )
        return [f"{own}{total}.", compared]
    compared = f"Other runs of it in {results}: {others}." if others else f"{results} has no other run of it."
    missing = [about for name, about in FRAMEWORKS.items() if name not in {run.framework, *by_framework}]
    commands = [f"{about.script} with the same options trains it in {about.title}." for about in missing]
    return [f"{own}{total}.", " ".join([compared, *commands])]


def _accuracies(run: Run, recorded: Path) -> dict[str, list[float]]:
    """The recorded accuracies by framework, a value for each seed; of several arithmetics the newest."""
    try:
        rows = [row for row in store.rows(recorded, "results.csv") if _comparable(row, run)]
    except (store.ResultsError, OSError):
        return {}
    result = {}
    for framework in FRAMEWORKS:
        own = [row for row in rows if row["framework"] == framework]
        newest = max((row["numerics"] for row in own), key=_number, default="")
        by_seed: dict[str, list[float]] = {}
        for row in own:
            if row["numerics"] == newest:
                by_seed.setdefault(row["seed"], []).append(_number(row["accuracy"]))
        if by_seed:
            result[framework] = [sum(values) / len(values) for values in by_seed.values()]
    return result


def _comparable(row: Mapping[str, str], run: Run) -> bool:
    if row["run"] == run.run or row["status"] != "ok" or not row["accuracy"]:
        return False
    return all(row[column] == getattr(run, column) for column in SAME)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return -1.0


def _spread(accuracies: Sequence[float]) -> str:
    """`97.59 % (10 seeds 97.38 to 97.74, 95 % interval of the mean 97.51 to 97.67)`."""
    from common.analysis import significance  # half a second that only a run with recorded ones needs

    sample, interval = significance.summary(accuracies), significance.interval(accuracies)
    if interval is None:
        return f"{sample.mean:.2f} % (one seed)"
    low, high = interval
    seeds = f"{sample.n} seeds {min(accuracies):.2f} to {max(accuracies):.2f}"
    return f"{sample.mean:.2f} % ({seeds}, 95 % interval of the mean {low:.2f} to {high:.2f})"
