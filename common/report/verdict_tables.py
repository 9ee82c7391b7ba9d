"""The verdicts as tables: a short one for the README, and one with spreads, p-values and the fingerprint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from common.analysis import meta, pooling, significance
from common.analysis.fingerprint import MAX_LABELLINGS, Fingerprint, framework_fingerprint
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.analysis.power import NUMBERS, POWER
from common.analysis.significance import (
    ALPHA,
    EQUIVALENT,
    INCONCLUSIVE,
    MARGIN,
    RATIO_MARGIN,
    Comparison,
)
from common.analysis.verdicts import (
    OUTCOMES,
    Decision,
    ModelVerdict,
    compared,
    image_error,
    judge,
    judge_ratios,
    lists_errors,
)
from common.frameworks import PAIR, display_name
from common.model.zoo import ZOO
from common.report import cells, repetition_tables
from common.report.markdown import listed, markdown, slug

FIRST, SECOND = (display_name(name) for name in PAIR)

DIFFERENCES = "Differences"
"""The heading above the tests of accuracies and the seeds that are missing."""


def sentence(tables: Tables) -> str:
    """The difference of accuracies and ratio of error rates over all networks; empty for too few networks."""
    difference = meta.pooled([pair.comparison for pair in compared(tables)[0]])
    logarithms = meta.pooled([verdict.logarithms for verdict in judge_ratios(tables, "error rates")])
    if difference is None:
        return ""
    ratio = ""
    if logarithms is not None:
        low, high = (math.exp(bound) for bound in logarithms.interval)
        ratio = f"; the ratio of error rates is {math.exp(logarithms.mean):.3f} ({low:.3f} to {high:.3f})"
    return (
        f"Over {difference.networks} networks and {difference.pairs} pairs of runs, {FIRST}'s test accuracy "
        f"minus {SECOND}'s is {difference.mean:+.3f} points (95 % confidence interval "
        f"{_range(difference.interval)}){ratio}; the true difference of a "
        f"further network like these is expected within {_range(difference.prediction)} points (95 % "
        "prediction interval; the estimated standard deviation of the networks' true differences is "
        f"{difference.tau:.3f} points, which so few networks leave uncertain)."
    )


def summary_table(tables: Tables, benchmarks: str = "") -> str:
    """One line a network; empty without pairs of runs. The seeds that are missing are listed on the page
    `benchmarks`, or on this one."""
    judged, refused = judge(tables)
    if not judged:
        return ""
    rows = [
        [
            *(f"`{verdict.model}`", f"{ZOO[verdict.model].spec.parameters:,}"),
            *(cells.mean(group, "accuracy") for group in (verdict.first, verdict.second)),
            *(cells.difference(verdict.comparison), verdict.verdict),
        ]
        for verdict in judged
    ]
    head = ["MODEL", "PARAMS", f"{FIRST.upper()} %", f"{SECOND.upper()} %", "DIFFERENCE", "VERDICT"]
    note = (
        f"Each accuracy is a mean over seeds. DIFFERENCE is {FIRST} minus {SECOND} in points of test "
        "accuracy after the last epoch, over pairs of runs with one seed, with its 95 % confidence interval. "
        f"*Equivalent*: within ±{MARGIN:g} points by two one-sided tests, so the 95 % interval may reach a "
        f"little beyond{_by_ratio(tables)}. *Different*: "
        "not zero by Student's paired test. *Inconclusive*: neither. Both tests are at "
        f"{100 * ALPHA:g} %, adjusted for the number of networks. "
        f"{_plan(judged, f'{benchmarks}#{slug(DIFFERENCES)}')}"
    )
    parts = [markdown(head, rows, right=(1, 2, 3, 4)), note]
    return "\n\n".join([*parts, *([listed(refused)] if refused else [])])


def _by_ratio(tables: Tables) -> str:
    """` (for 7 of 13 networks the error rates too are shown to be within 10 % of each other)`."""
    words = [verdict.verdict for verdict in judge_ratios(tables, "error rates")]
    within = f"{100 * (RATIO_MARGIN - 1):.0f} %"
    number = f"{words.count(EQUIVALENT)} of {len(words)} networks"
    return f" (for {number} the error rates too are shown to be within {within} of each other)"


def other_data(tables: Tables) -> str:
    """The verdicts of the zoo's recipes on each other data set, a table for each."""
    head = ["MODEL", "PAIRS", f"{FIRST.upper()} %", f"{SECOND.upper()} %", "DIFFERENCE", "VERDICT"]
    parts = []
    for name, title in pooling.OTHER_DATA.items():
        judged, refused = judge(tables, dataset=name)
        rows = [
            [
                *(f"`{verdict.model}`", str(verdict.comparison.n)),
                *(cells.accuracy(group, "accuracy") for group in (verdict.first, verdict.second)),
                *(cells.difference(verdict.comparison), _words(verdict, planned=False)),
            ]
            for verdict in judged
        ]
        if rows or refused:
            parts += [f"On {title}:", *([markdown(head, rows, right=(1, 2, 3, 4))] if rows else [])]
            parts += [listed(refused)] if refused else []
    if not parts:
        return "Not measured yet: `python -m common.bench run --dataset NAME`."
    note = (
        "The zoo's recipes, which were made for MNIST, on other images, with nothing changed but the images. "
        "The tests are those of the verdicts above, adjusted for the number of networks of each data set. "
        "No more seeds of them are planned."
    )
    return "\n\n".join([note, *parts])


def details(tables: Tables) -> str:
    """The answer over all networks, accuracy by framework, tests, and the fingerprint test."""
    judged, refused = judge(tables)
    if not judged:
        return "No network has been run in both frameworks yet."
    accuracies = [
        [
            *(f"`{verdict.model}`", display_name(group.framework), *_spread(group)),
            f"{image_error(group, tables.errors):.3f}" if lists_errors(group, tables.errors) else "",
        ]
        for verdict in judged
        for group in (verdict.first, verdict.second)
    ]
    tests = {
        verdict.model: framework_fingerprint(verdict.first, verdict.second, tables.errors)
        for verdict in judged
        if all(lists_errors(group, tables.errors) for group in (verdict.first, verdict.second))
    }
    fingerprints = [[f"`{model}`", *_fingerprint(test)] for model, test in tests.items()]
    head = "MODEL | FRAMEWORK | SEEDS | MEAN % | SD | 95 % CONFIDENCE INTERVAL | TEST SET'S ERROR"
    head_fingerprints = "MODEL | SEEDS | BETWEEN | WITHIN | EXCESS | P | LEAST P"
    return "\n\n".join(
        [
            *_overall(tables),
            "### Accuracy by framework",
            "Test accuracy after the last epoch over seeds, with Student's confidence interval of the mean. "
            "TEST SET'S ERROR is the standard error in points that comes from the draw of the 10,000 test "
            "images, a lower bound, since images of one writer are not independent. More seeds do not reduce "
            "it.",
            markdown(head.split(" | "), accuracies, right=range(2, 7)),
            *_differences(judged),
            *_ratios(tables),
            "### Fingerprint",
            f"Can the framework be identified from the predictions? {_identified(tests.values())}BETWEEN and "
            "WITHIN are the mean numbers of test images on which two runs disagree, of different frameworks "
            "and of one framework (pairs of one seed are left out). P is the fraction of the relabellings "
            "with at least this EXCESS, where the two runs of a seed are exchanged or not (all of them, or "
            f"{MAX_LABELLINGS:,} drawn at random if there are more); LEAST P is the smallest value that so "
            "many seeds can have. Fewer than six cannot reach 5 %.",
            markdown(head_fingerprints.split(" | "), fingerprints, right=range(1, 7)),
            *([listed(refused)] if refused else []),
        ]
    )


def _overall(tables: Tables) -> list[str]:
    answer = sentence(tables)
    if not answer:
        return []
    return [
        answer,
        "This is a random-effects estimate over the networks' mean differences (DerSimonian and Laird, 1986) "
        "with the interval of Hartung and Knapp (2001), never narrower than without their factor (Röver, "
        "Knapp and Friede, 2015), and widened for the weights, which are estimated themselves (Meier, 1953); "
        "the prediction interval is that of Higgins, Thompson and Spiegelhalter (2009).",
    ]


def _differences(judged: Sequence[ModelVerdict]) -> list[str]:
    """The tests of the accuracies."""
    rows = [
        [
            *(f"`{verdict.model}`", str(verdict.comparison.n), cells.difference(verdict.comparison)),
            *(cells.number(verdict.comparison.sd, 3), *_tests(verdict, verdict.comparison), _words(verdict)),
        ]
        for verdict in judged
    ]
    head = "MODEL | PAIRS | DIFFERENCE | SD | P OF DIFFERENCE | P OF EQUIVALENCE | VERDICT"
    return [
        f"### {DIFFERENCES}",
        "A pair is a run of each framework with one seed. A difference is equivalent if it is within "
        f"±{MARGIN:g} points: P OF DIFFERENCE is the p-value of Student's paired test, P OF EQUIVALENCE the "
        "larger one of two one-sided tests. In brackets, where they differ, are "
        "the p-values that decide, adjusted for the number of networks (Holm). The margin, ten of the 10,000 "
        "test images, is a judgement, made when 198 runs had been seen. "
        "Whether the differences are as large as chance alone makes them has a test of its own, the "
        f"[{repetition_tables.TITLE.lower()}](#{slug(repetition_tables.TITLE)}).",
        _seeds(judged),
        markdown(head.split(" | "), rows, right=range(1, 6)),
    ]


def _ratios(tables: Tables) -> list[str]:
    """The tests of the ratios, a table for each outcome."""
    head = "MODEL | PAIRS | RATIO | P OF DIFFERENCE | P OF EQUIVALENCE | VERDICT"
    parts = []
    for outcome in OUTCOMES:
        rows = [
            [
                *(f"`{verdict.model}`", str(verdict.ratio.n), cells.ratio(verdict.ratio)),
                *(*_tests(verdict, verdict.logarithms), verdict.verdict),
            ]
            for verdict in judge_ratios(tables, outcome)
        ]
        if rows:
            equivalent = sum(row[-1] == EQUIVALENT for row in rows)
            parts += [
                f"### Ratios of {outcome}",
                f"Equivalent in {equivalent} of {len(rows)} networks.",
                markdown(head.split(" | "), rows, right=range(1, 5)),
            ]
    if parts:
        parts.insert(
            2,
            f"RATIO is {FIRST} over {SECOND}, the geometric mean over pairs of runs with Student's interval "
            f"of the logarithms. It is equivalent from 1 / {RATIO_MARGIN:g} to {RATIO_MARGIN:g}, that is up "
            f"to {100 * (RATIO_MARGIN - 1):.0f} % more in one framework; the tests of the logarithms are "
            "those of the differences. Training losses are means over all images of the last epoch.",
        )
    return parts


def _words(verdict: ModelVerdict, *, planned: bool = True) -> str:
    """The verdict; for an inconclusive one also the number of seeds that would probably decide it, and
    whether they are more than were `planned`."""
    if verdict.verdict != INCONCLUSIVE:
        return verdict.verdict
    number = f"about {verdict.more_seeds:,}" if verdict.more_seeds else f"more than {NUMBERS[-1]:,}"
    beyond = " than planned" if planned and not verdict.missing_seeds else ""
    return f"{verdict.verdict}: {number} more seeds{beyond}"


def _plan(judged: Sequence[ModelVerdict], address: str = "") -> str:
    """Whether the planned seeds are there, with a link to their list at an address."""
    short = sum(verdict.missing_seeds > 0 for verdict in judged)
    lacking = f"{short} of {len(judged)} networks {'has' if short == 1 else 'have'} yet to run some"
    state = (
        (f"[{lacking}]({address})" if address else lacking) if short else "all of these networks have theirs"
    )
    return (
        "Seeds were planned for each network after its first ones, by their spread and by the time of a run, "
        f"and none are added to change a verdict; {state}. A seed that was run several times, as for an "
        "ablation, counts once, with the mean of its runs."
    )


def _seeds(judged: Sequence[ModelVerdict]) -> str:
    """Whether the planned seeds are there, which are not, and what `more seeds` of a verdict means."""
    missing = [
        f"`{verdict.model}` {verdict.missing_seeds} (of {verdict.planned_seeds} planned)"
        for verdict in judged
        if verdict.missing_seeds
    ]
    parts = [_plan(judged)]
    if missing:
        parts.append(f"Seeds still to run: {', '.join(missing)}.")
    if reached := [f"`{each.model}` {each.planned_seeds}" for each in judged if not each.missing_seeds]:
        parts.append(f"The planned number is reached: {', '.join(reached)}.")
    if any(verdict.verdict == INCONCLUSIVE for verdict in judged):
        parts.append(
            f"*More seeds*: with so many there is a verdict with a probability of {100 * POWER:.0f} %, by "
            "simulation of the same tests, in which the p-values of the other networks stay as they are. "
            "Where these are more than were planned, the verdict may stay inconclusive: no others are run."
        )
    return " ".join(parts)


def _tests(decision: Decision, comparison: Comparison) -> list[str]:
    """The p-value of each test, with the adjusted one in brackets if it differs; empty for one pair."""
    pairs = (
        (comparison.p_difference, decision.p_difference),
        (comparison.p_equivalence, decision.p_equivalence),
    )
    both = [(cells.p_value(p), cells.p_value(adjusted)) for p, adjusted in pairs]
    return [p if p == adjusted else f"{p} ({adjusted})" for p, adjusted in both]


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"


def _spread(group: Group) -> list[str]:
    """Number, mean, standard deviation and interval of the accuracies, over seeds."""
    values = list(pooling.by_seed(group, "accuracy").values())
    summary, bounds = significance.summary(values), significance.interval(values)
    if summary.sd is None or bounds is None:
        return [str(summary.n), f"{summary.mean:.2f}", "", "one seed has no interval"]
    return [
        *(str(summary.n), f"{summary.mean:.2f}", f"{summary.sd:.3f}"),
        f"{bounds[0]:.2f} to {bounds[1]:.2f}",
    ]


def _identified(tests: Iterable[Fingerprint | None]) -> str:
    """`In none of 13 networks (the smallest P is 0.088). `, adjusted for their number (Bonferroni)."""
    values = [test.p for test in tests if test]
    if not values:
        return ""
    found = sum(p * len(values) < ALPHA for p in values) or "none"
    networks = f"{len(values)} network{'s' * (len(values) > 1)}"
    level = f"At {100 * ALPHA:g} %, adjusted for the number of networks,"
    return f"{level} in {found} of {networks} (the smallest P is {cells.p_value(min(values))}). "


def _fingerprint(fingerprint: Fingerprint | None) -> list[str]:
    if fingerprint is None:
        return ["", "", "", "", "one seed has no test", ""]
    return [
        *(str(fingerprint.seeds), f"{fingerprint.between:.1f}", f"{fingerprint.within:.1f}"),
        *(f"{fingerprint.excess:+.1f}", cells.p_value(fingerprint.p), cells.p_value(fingerprint.least_p)),
    ]
