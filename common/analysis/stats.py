"""Which runs are repetitions of one another, and what do they say together?

Runs are pooled only where every setting in POOLED is the same; machine and versions may differ, as an
accuracy is to be repeated anywhere. Times are of runs that had their machine to themselves. Means are of
exact sums (math.fsum): the order of the rows cannot move a digit. Then: what do two frameworks' runs say of
each other, by intervals and by tests of difference and equivalence?
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import scipy.stats

from common.frameworks import FRAMEWORKS
from common.model.recipe import recipe_hash, short_name
from common.model.zoo import ZOO, Entry
from common.tables.store import TABLES, ResultsError, header, rows

"""The frameworks every network is expected to run in, as the tables and as the reports write them."""

POOLED = (
    *("framework", "model", "dataset", "batch_size", "epochs", "optimizer", "schedule", "lr", "augment"),
    *("native", "loader", "precision", "device", "threads", "world_size", "recipe_hash"),
)
"""Runs that agree in all of these, and ended with status ok, are repetitions with other seeds."""

ENVIRONMENT = ("machine", "framework_version", "python")
"""What may differ in a group when accuracy is pooled, but not when time and memory are."""

DEFAULTS = {"dataset": "mnist", "native": "none", "loader": "memory", "precision": "float32"}
"""What a run has when the command line asks for nothing else."""

TEST_IMAGES = 10_000

MARGIN = 0.1
"""Percentage points of accuracy below which a difference does not matter; fixed before there were results."""

ALPHA = 0.05
"""Of all tests, after adjusting them for how many there are."""


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables as typed frames: text columns str, counts int64, measurements float64 (NaN: empty)."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
    errors: pd.DataFrame
    speed: pd.DataFrame
    traces: pd.DataFrame
    defaults: pd.DataFrame


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (None for a single value) and number of values."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that may be pooled: the `fields` they share, by POOLED name, and their rows."""

    fields: Mapping[str, object]
    runs: pd.DataFrame

    @property
    def framework(self) -> str:
        return str(self.fields["framework"])

    @property
    def model(self) -> str:
        return str(self.fields["model"])

    @property
    def seeds(self) -> int:
        """Number of different seeds; fewer than runs where one was repeated."""
        return len(set(self.runs["seed"]))

    def summary(self, column: str) -> Summary | None:
        """Of the values in `column`; None where no run measured it."""
        values = [float(value) for value in self.runs[column] if not math.isnan(value)]
        return summary(values) if values else None


def read(folder: Path) -> Tables:
    """The tables in `folder`, empty where there are none. Raises ResultsError for a table it cannot read."""
    return Tables(*(frame(name, rows(folder, name)) for name in TABLES))


def frame(name: str, text: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Rows of `text` of table `name` as a frame of its dataclass's types. Raises ResultsError for a cell that
    is no number."""
    kind = TABLES[name]
    result = pd.DataFrame(list(text), columns=header(kind), dtype=object)
    for column, hint in typing.get_type_hints(kind).items():
        try:
            if hint is int:
                result[column] = result[column].astype("int64")
            elif hint is float or float in typing.get_args(hint):
                result[column] = result[column].replace("", "nan").astype("float64")
        except (TypeError, ValueError, OverflowError) as error:
            raise ResultsError(f"{name}, column {column}, has a cell that is no number: {error}.") from None
    return result


def summary(values: Iterable[float]) -> Summary:
    """Mean and spread of one value or more. Raises ValueError for none."""
    known = list(values)
    n = len(known)
    if n == 0:
        raise ValueError("There is no mean of no values.")
    mean = math.fsum(known) / n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1)) if n > 1 else None
    return Summary(mean, sd, n)


def interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float] | None:
    """Student's confidence interval of the mean; None for one value, which has no interval."""
    known = summary(values)
    if known.sd is None:
        return None
    half = float(scipy.stats.t.ppf((1 + level) / 2, known.n - 1)) * known.sd / math.sqrt(known.n)
    return known.mean - half, known.mean + half


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences of pairs, first less second: their mean, sample standard deviation and number, the 95 %
    interval of the mean, and two p-values.

    `p_difference` is of Student's paired test that the mean is 0, `p_equivalence` the larger of two one-sided
    tests that it is outside ±margin (Schuirmann, 1987). All but mean and n are None for one pair.
    """

    mean: float
    sd: float | None
    n: int
    interval: tuple[float, float] | None
    p_difference: float | None
    p_equivalence: float | None


def compare(first: Sequence[float], second: Sequence[float], *, margin: float = MARGIN) -> Comparison:
    """The comparison of pairs in the same order. Raises ValueError if they are not as many, or none."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    known = summary(differences)
    if known.sd is None:
        return Comparison(**vars(known), interval=None, p_difference=None, p_equivalence=None)
    # Where all differences are the same to rounding the statistics are infinite, and their limits right.
    error = max(known.sd / math.sqrt(known.n), 1e-12)
    t = scipy.stats.t(known.n - 1)
    outside = (t.sf((known.mean + margin) / error), t.sf((margin - known.mean) / error))
    return Comparison(
        **vars(known),
        interval=interval(differences),
        p_difference=2 * float(t.sf(abs(known.mean) / error)),
        p_equivalence=float(max(outside)),
    )


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """First over second, of pairs: geometric mean, its 95 % interval (None for one pair), number of pairs."""

    mean: float
    interval: tuple[float, float] | None
    n: int

    @property
    def excludes_one(self) -> bool:
        """That both sides are the same is not within the interval."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


def ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """Of positive values, in the same order, by Student's interval of their logarithms' mean difference.

    Raises ValueError if they are not as many, or none, or not positive.
    """
    if min(*first, *second) <= 0:
        raise ValueError("Only positive values have a ratio.")
    known = compare([math.log(value) for value in first], [math.log(value) for value in second])
    bounds = None if known.interval is None else (math.exp(known.interval[0]), math.exp(known.interval[1]))
    return Ratio(mean=math.exp(known.mean), interval=bounds, n=known.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for as many tests as there are, in the same order (Holm, 1979)."""
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank_, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (len(p_values) - rank_) * p_values[place]))
        adjusted[place] = least
    return adjusted


def verdict(comparison: Comparison, *, p_difference: float, p_equivalence: float, tests: int) -> str:
    """In words what two p-values adjusted for `tests` networks say at 5 %; how many more seeds if nothing."""
    same, other = p_equivalence < ALPHA, p_difference < ALPHA
    if same:
        return "different but negligible" if other else "equivalent"
    if other:
        return "different"
    return f"inconclusive: about {more_seeds(comparison, tests=tests):,} more seeds"


def more_seeds(comparison: Comparison, *, tests: int, margin: float = MARGIN) -> int:
    """How many more pairs, if mean and spread stay as they are, until one of the two tests sees it.

    With a power of 80 % at LEVEL / `tests`; a mean just at the margin is held to be a tenth of it away.
    """
    assert comparison.sd is not None
    size = abs(comparison.mean)
    room = max(abs(margin - size), margin / 10)
    # To show that it is inside the margin, else that it is not 0.
    distance, sides = (room, 1) if size < margin else (size, 2)
    n = comparison.n + 1
    while n < 100_000:
        t = scipy.stats.t(n - 1)
        needed = (t.isf(ALPHA / tests / sides) + t.isf(0.2)) * comparison.sd / distance
        if needed**2 <= n:
            break
        n = max(n + 1, round(n * 1.01))
    return n - comparison.n


def paired(first: Group, second: Group, column: str = "accuracy") -> tuple[list[float], list[float]]:
    """A column of both groups for each seed that both have, in the seeds' order; repeated seeds averaged.

    A seed fixes initial weights and order, so runs with the same one are a pair. Raises ValueError, which
    names the fields, for groups that differ in more than the framework.
    """
    differing = differences(first.fields, second.fields, but=("framework",))
    if differing:
        told = "; ".join(f"{field}: {' and '.join(pair)}" for field, pair in differing.items())
        raise ValueError(f"Runs of {first.model} that differ in {told} are not compared.")
    ours, theirs = (by_seed(group, column) for group in (first, second))
    seeds = sorted(set(ours) & set(theirs))
    return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def by_seed(group: Group, column: str) -> dict[int, float]:
    """A column's value for each seed; the mean where a seed was repeated."""
    values: dict[int, list[float]] = {}
    for seed, value in zip(group.runs["seed"], group.runs[column], strict=True):
        values.setdefault(int(seed), []).append(float(value))
    return {seed: math.fsum(known) / len(known) for seed, known in values.items()}


def groups(runs: pd.DataFrame, *, by: Sequence[str] = POOLED) -> list[Group]:
    """Runs of status ok, pooled where all of `by` agree; in the order of the zoo, then of the frameworks."""
    done = runs[runs["status"] == "ok"]
    found = [
        Group(dict(zip(by, key, strict=True)), part)
        for key, part in done.groupby(list(by), sort=True, dropna=False)
    ]
    return sorted(
        found, key=lambda group: (sort_key(group.model, ZOO), sort_key(group.framework, FRAMEWORKS))
    )


def sort_key(name: str, known: Iterable[str]) -> tuple[int, str]:
    """Sorts names as in `known`, unknown ones after them by alphabet."""
    places = list(known)
    return (places.index(name.lower()) if name.lower() in places else len(places), name)


def default_settings(entry: Entry) -> dict[str, object]:
    """The settings of a run of `entry` with nothing changed, by POOLED name."""
    recipe = entry.recipe
    return {
        "model": entry.name,
        "batch_size": recipe.batch_size,
        "epochs": recipe.epochs,
        "optimizer": short_name(recipe.optimizer),
        "schedule": short_name(recipe.schedule),
        "lr": recipe.lr,
        "augment": short_name(recipe.augment),
        "recipe_hash": recipe_hash(entry.spec, recipe),
        **DEFAULTS,
    }


def default_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of status ok with everything in DEFAULTS, whatever their recipe."""
    kept = runs["status"] == "ok"
    for field, value in DEFAULTS.items():
        kept &= runs[field] == value
    return runs[kept]


def zoo_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The default rows whose network and recipe are the zoo's own: those the README reports."""
    hashes = {entry.name: recipe_hash(entry.spec, entry.recipe) for entry in ZOO.values()}
    return default_runs(runs[runs["recipe_hash"] == runs["model"].map(hashes)])


def undisturbed(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows whose machine made no other run meanwhile; rows older than the column are of such runs."""
    return runs[~(runs["at_once"] > 1)]


def largest_groups(found: Iterable[Group], *, by: str = "model") -> list[Group]:
    """For each model, framework and value of `by` the group with the most runs, the first of equals."""
    best: dict[tuple[object, ...], Group] = {}
    for group in found:
        key = (group.model, group.framework, group.fields[by])
        if key not in best or len(group.runs) > len(best[key].runs):
            best[key] = group
    return list(best.values())


def differences(
    first: Mapping[str, object], second: Mapping[str, object], *, but: Iterable[str] = ()
) -> dict[str, tuple[str, str]]:
    """The fields in which two groups (or a group and its recipe) of one model differ, with both values.

    Fields that only one of them has, and those in `but`, are left out. Raises ValueError for two models.
    """
    if first["model"] != second["model"]:
        raise ValueError(f"{first['model']} and {second['model']} are different networks, not settings.")
    shared = [field for field in POOLED if field in first and field in second and field not in set(but)]
    pairs = {field: (format_value(first[field]), format_value(second[field])) for field in shared}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def format_value(value: object) -> str:
    """A value as the tables write it."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)
