"""Does the framework matter? For each network both frameworks' runs compared, and a verdict in words.

Of the zoo's own recipes, after the last epoch. Runs with one seed are a pair; networks are tests of one
family (Holm). The margin and the level were fixed before there were results (`common.analysis.significance`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.analysis import pooling, significance
from common.analysis.fingerprint import Fingerprint, disagreements, fingerprint
from common.analysis.frames import Tables
from common.analysis.pooling import TEST_IMAGES, Group
from common.analysis.significance import ALPHA, MARGIN, Comparison
from common.frameworks import FRAMEWORKS, display_name
from common.report.markdown import listed, markdown

ErrorRates = NDArray[np.float64]  # (TEST_IMAGES,)

ONE_RUN = "one pair of runs has no interval"


@dataclass(frozen=True, kw_only=True)
class ModelVerdict:
    """A network in both frameworks. The p-values are adjusted; None with the words ONE_RUN for one pair.

    `image_errors` are standard errors in points that come with the 10,000 test images, whatever the seeds: of
    the first framework's mean accuracy, the second's, and their difference.
    """

    first: Group
    second: Group
    comparison: Comparison
    p_difference: float | None
    p_equivalence: float | None
    verdict: str
    image_errors: tuple[float, float, float]

    @property
    def model(self) -> str:
        return self.first.model


def judge(tables: Tables) -> tuple[list[ModelVerdict], list[str]]:
    """Every network that both frameworks have run, judged, in the zoo's order; and why others cannot be."""
    pairs, refused = _pairs(tables)
    compared = [(pair, significance.compare(*pooling.paired(*pair))) for pair in pairs]
    tested = [one for _, one in compared if one.p_difference is not None]
    unequal = iter(significance.holm([one.p_difference for one in tested if one.p_difference is not None]))
    equal = iter(significance.holm([one.p_equivalence for one in tested if one.p_equivalence is not None]))
    judged = []
    for (first, second), comparison in compared:
        p_difference = p_equivalence = None
        words = ONE_RUN
        if comparison.p_difference is not None:
            p_difference, p_equivalence = next(unequal), next(equal)
            words = significance.verdict(
                comparison, p_difference=p_difference, p_equivalence=p_equivalence, tests=len(tested)
            )
        judged.append(
            ModelVerdict(
                first=first,
                second=second,
                comparison=comparison,
                p_difference=p_difference,
                p_equivalence=p_equivalence,
                verdict=words,
                image_errors=image_errors(first, second, tables.errors),
            )
        )
    return judged, refused


def _pairs(tables: Tables) -> tuple[list[tuple[Group, Group]], list[str]]:
    """Two groups a network; where they cannot be compared a sentence on it."""
    groups = pooling.largest_groups(pooling.groups(pooling.zoo_runs(tables.runs)))
    by_model: dict[str, list[Group]] = {}
    for group in groups:
        by_model.setdefault(group.model, []).append(group)
    pairs, refused = [], []
    for model, found in by_model.items():
        if len(found) != len(FRAMEWORKS):
            continue
        first, second = found
        try:
            shared, _ = pooling.paired(first, second)
        except ValueError as error:
            refused.append(str(error))
            continue
        if shared:
            pairs.append((first, second))
        else:
            refused.append(f"Runs of `{model}` have no seed in common, so none are a pair.")
    return pairs, refused


def image_errors(first: Group, second: Group, errors: pd.DataFrame) -> tuple[float, float, float]:
    """Standard errors, in points, that 10,000 other images would bring: both accuracies', the difference's.

    From the share of a framework's runs that are wrong in each image, taken as a draw of images.
    """
    ours, theirs = (_wrong(group, errors) for group in (first, second))

    def error(shares: ErrorRates) -> float:
        return 100 * float(np.std(shares, ddof=1)) / math.sqrt(TEST_IMAGES)

    return error(ours), error(theirs), error(ours - theirs)


def _wrong(group: Group, errors: pd.DataFrame) -> ErrorRates:
    """The share of its runs that are wrong in each test image."""
    known = errors[errors["run"].isin(set(group.runs["run"]))]
    wrong: ErrorRates = np.bincount(known["index"], minlength=TEST_IMAGES) / len(group.runs)
    return wrong


def _fingerprint(first: Group, second: Group, errors: pd.DataFrame) -> Fingerprint | None:
    """Of one run for each seed and framework."""
    runs = pd.concat([first.runs, second.runs]).drop_duplicates(["framework", "seed"])
    counts = disagreements(errors, list(runs["run"]))
    return fingerprint(counts, list(runs["framework"] == first.framework), list(runs["seed"]))


# The tables


def summary_table(tables: Tables) -> str:
    """What the README opens with: a line a network; empty without pairs."""
    judged, refused = judge(tables)
    if not judged:
        return ""
    names = [display_name(group.framework) for group in (judged[0].first, judged[0].second)]
    rows = [
        [
            *(f"`{one.model}`", str(one.comparison.n)),
            *(
                f"{significance.summary(group.runs['accuracy']).mean:.2f}"
                for group in (one.first, one.second)
            ),
            _difference(one.comparison),
            one.verdict,
        ]
        for one in judged
    ]
    head = ["MODEL", "SEEDS", *(f"{name.upper()} %" for name in names), "DIFFERENCE", "VERDICT"]
    note = (
        f"DIFFERENCE is {names[0]} less {names[1]} in points of test accuracy after the last epoch, with the "
        "95 % interval of the mean over pairs of runs with one seed. *Equivalent*: within "
        f"±{MARGIN:g} points by two one-sided tests; *different*: not zero by Student's paired test; both at "
        f"{100 * ALPHA:g} %, adjusted for the number of networks."
    )
    parts = [markdown(head, rows, right=(1, 2, 3, 4)), note]
    return "\n\n".join(parts + ([listed(refused)] if refused else []))


def details(tables: Tables) -> str:
    """The same with spreads, p-values, the test set's own uncertainty and the fingerprint."""
    judged, refused = judge(tables)
    if not judged:
        return "No network has been run in both frameworks yet."
    accuracies = [
        [
            *(f"`{one.model}`", display_name(group.framework), *_spread(group)),
            f"{error:.3f}",
        ]
        for one in judged
        for group, error in zip((one.first, one.second), one.image_errors, strict=False)
    ]
    tests = [
        [
            *(f"`{one.model}`", str(one.comparison.n), _difference(one.comparison)),
            *("" if one.comparison.sd is None else f"{one.comparison.sd:.3f}", f"{one.image_errors[2]:.3f}"),
            *(_p(one.comparison.p_difference), _p(one.p_difference)),
            *(_p(one.comparison.p_equivalence), _p(one.p_equivalence)),
            one.verdict,
        ]
        for one in judged
    ]
    prints = [
        [f"`{one.model}`", *_told(_fingerprint(one.first, one.second, tables.errors))] for one in judged
    ]
    head = "MODEL | FRAMEWORK | N | MEAN % | SD | 95 % INTERVAL | TEST SET'S ERROR"
    head_tests = (
        "MODEL | PAIRS | DIFFERENCE | SD | TEST SET'S ERROR | P DIFFERENT | ADJUSTED | P OUTSIDE MARGIN | "
        "ADJUSTED | VERDICT"
    )
    head_prints = "MODEL | BETWEEN | WITHIN | EXCESS | P | POSSIBLE PERMUTATIONS"
    return "\n\n".join(
        [
            "### Accuracy by framework",
            "Test accuracy after the last epoch over seeds, with Student's interval of the mean. TEST SET'S "
            "ERROR is the standard error in points that 10,000 other images would bring; no number of seeds "
            "makes it smaller.",
            markdown(head.split(" | "), accuracies, right=range(2, 7)),
            "### Differences",
            f"Pairs are runs with one seed. A difference is equivalent if it is within ±{MARGIN:g} points: "
            "P OUTSIDE MARGIN is the larger of two one-sided tests. Both families of p-values are adjusted "
            "over the networks (Holm). TEST SET'S ERROR is of the difference.",
            markdown(head_tests.split(" | "), tests, right=range(1, 9)),
            "### Fingerprint",
            "Whether predictions betray the framework: in how many of the test images two runs of different "
            "frameworks, and of one, disagree, pairs of one seed left out; how often runs dealt to the "
            "frameworks at random differ as much. A p-value is at least one in the possible permutations.",
            markdown(head_prints.split(" | "), prints, right=range(1, 6)),
            *([listed(refused)] if refused else []),
        ]
    )


def _difference(comparison: Comparison) -> str:
    if comparison.interval is None:
        return f"{comparison.mean:+.3f}"
    low, high = comparison.interval
    return f"{comparison.mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _spread(group: Group) -> list[str]:
    values = [float(value) for value in group.runs["accuracy"]]
    known, bounds = significance.summary(values), significance.interval(values)
    if known.sd is None or bounds is None:
        return [str(known.n), f"{known.mean:.2f}", "", "one run has no interval"]
    return [str(known.n), f"{known.mean:.2f}", f"{known.sd:.3f}", f"{bounds[0]:.2f} to {bounds[1]:.2f}"]


def _told(found: Fingerprint | None) -> list[str]:
    if found is None:
        return ["", "", "", "too few runs", ""]
    return [
        *(f"{found.between:.1f}", f"{found.within:.1f}", f"{found.excess:+.1f}"),
        *(_p(found.p), f"{found.possible:,}"),
    ]


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
