"""The verdicts as tables: a short one for the README, and one with spreads, p-values and the fingerprint."""

from __future__ import annotations

from common.analysis import significance
from common.analysis.fingerprint import Fingerprint, framework_fingerprint
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.analysis.significance import ALPHA, MARGIN
from common.analysis.verdicts import judge
from common.frameworks import display_name
from common.report import cells
from common.report.markdown import listed, markdown


def summary_table(tables: Tables) -> str:
    """One line a network; empty without pairs of runs."""
    judged, refused = judge(tables)
    if not judged:
        return ""
    names = [display_name(group.framework) for group in (judged[0].first, judged[0].second)]
    rows = [
        [
            *(f"`{verdict.model}`", str(verdict.comparison.n)),
            *(cells.mean(group, "accuracy") for group in (verdict.first, verdict.second)),
            cells.difference(verdict.comparison),
            verdict.verdict,
        ]
        for verdict in judged
    ]
    head = ["MODEL", "SEEDS", *(f"{name.upper()} %" for name in names), "DIFFERENCE", "VERDICT"]
    note = (
        f"DIFFERENCE is {names[0]} less {names[1]} in points of test accuracy after the last epoch, with the "
        "95 % confidence interval of the mean over pairs of runs with one seed. *Equivalent*: within "
        f"±{MARGIN:g} points by two one-sided tests. *Different*: not zero by Student's paired test. Both at "
        f"{100 * ALPHA:g} %, adjusted for the number of networks."
    )
    parts = [markdown(head, rows, right=(1, 2, 3, 4)), note]
    return "\n\n".join(parts + ([listed(refused)] if refused else []))


def details(tables: Tables) -> str:
    """Accuracy by framework, tests of the differences, and the fingerprint test."""
    judged, refused = judge(tables)
    if not judged:
        return "No network has been run in both frameworks yet."
    accuracies = [
        [f"`{verdict.model}`", display_name(group.framework), *_spread(group), f"{error:.3f}"]
        for verdict in judged
        for group, error in zip((verdict.first, verdict.second), verdict.image_errors, strict=False)
    ]
    tests = [
        [
            *(f"`{verdict.model}`", str(verdict.comparison.n), cells.difference(verdict.comparison)),
            *(cells.number(verdict.comparison.sd, 3), f"{verdict.image_errors[2]:.3f}"),
            *(cells.p_value(verdict.comparison.p_difference), cells.p_value(verdict.p_difference)),
            *(cells.p_value(verdict.comparison.p_equivalence), cells.p_value(verdict.p_equivalence)),
            verdict.verdict,
        ]
        for verdict in judged
    ]
    fingerprints = [
        [
            f"`{verdict.model}`",
            *_fingerprint(framework_fingerprint(verdict.first, verdict.second, tables.errors)),
        ]
        for verdict in judged
    ]
    head = "MODEL | FRAMEWORK | N | MEAN % | SD | 95 % CONFIDENCE INTERVAL | TEST SET'S ERROR"
    head_tests = (
        "MODEL | PAIRS | DIFFERENCE | SD | TEST SET'S ERROR | P DIFFERENT | ADJUSTED | P OUTSIDE MARGIN | "
        "ADJUSTED | VERDICT"
    )
    head_fingerprints = "MODEL | BETWEEN | WITHIN | EXCESS | P | POSSIBLE PERMUTATIONS"
    return "\n\n".join(
        [
            "### Accuracy by framework",
            "Test accuracy after the last epoch over seeds, with Student's confidence interval of the mean. "
            "TEST SET'S ERROR is the standard error in points that comes from the draw of the 10,000 test "
            "images; more seeds do not reduce it.",
            markdown(head.split(" | "), accuracies, right=range(2, 7)),
            "### Differences",
            f"Pairs are runs with one seed. A difference is equivalent if it is within ±{MARGIN:g} points: "
            "P OUTSIDE MARGIN is the larger p-value of two one-sided tests. Both families of p-values are "
            "adjusted for the number of networks (Holm). TEST SET'S ERROR is that of the difference.",
            markdown(head_tests.split(" | "), tests, right=range(1, 9)),
            "### Fingerprint",
            "Can the framework be identified from the predictions? BETWEEN and WITHIN are the mean numbers "
            "of test images on which two runs disagree, of different frameworks and of one framework (pairs "
            "of one seed are left out). P is the fraction of random relabellings of the runs with at least "
            "this EXCESS; it cannot be less than one over the possible permutations.",
            markdown(head_fingerprints.split(" | "), fingerprints, right=range(1, 6)),
            *([listed(refused)] if refused else []),
        ]
    )


def _spread(group: Group) -> list[str]:
    """Number, mean, standard deviation and interval of the accuracies."""
    values = [float(value) for value in group.runs["accuracy"]]
    summary, bounds = significance.summary(values), significance.interval(values)
    if summary.sd is None or bounds is None:
        return [str(summary.n), f"{summary.mean:.2f}", "", "one run has no interval"]
    return [
        *(str(summary.n), f"{summary.mean:.2f}", f"{summary.sd:.3f}"),
        f"{bounds[0]:.2f} to {bounds[1]:.2f}",
    ]


def _fingerprint(fingerprint: Fingerprint | None) -> list[str]:
    if fingerprint is None:
        return ["", "", "", "too few runs", ""]
    return [
        *(f"{fingerprint.between:.1f}", f"{fingerprint.within:.1f}", f"{fingerprint.excess:+.1f}"),
        *(cells.p_value(fingerprint.p), f"{fingerprint.possible:,}"),
    ]
