"""The comparison of one network for the terminal: a table, and the verdict in words."""

from __future__ import annotations

from dataclasses import dataclass

from common.analysis import pooling, significance
from common.analysis.one_network import OneNetwork
from common.analysis.power import NUMBERS, POWER
from common.analysis.significance import INCONCLUSIVE, MARGIN, Ratio
from common.analysis.verdicts import ModelVerdict
from common.cli.text_table import aligned
from common.frameworks import PAIR, display_name
from common.report import cells
from common.report.leads import Lead

FIRST, SECOND = (display_name(name) for name in PAIR)


HEAD = ("", FIRST.upper(), SECOND.upper(), "DIFFERENCE OR RATIO", "RUNS")


@dataclass(frozen=True)
class Measure:
    """A quantity of runs that were alone on their machine: its column, name and decimals."""

    column: str
    name: str
    digits: int


NOT_MEASURED = (
    "not reported: no pair of runs had the machine to itself. On an idle one bench compare measures a pair."
)

MEASURES = (
    Measure("train_seconds", "training, s", 1),
    Measure("total_seconds", "whole run, s", 1),
    Measure("images_per_second", "images / s", 0),
    Measure("peak_memory_mib", "memory, MiB", 0),
)


def text(network: OneNetwork) -> str:
    """Heading, table and sentences."""
    return "\n\n".join([heading(network), table(network), "\n".join(sentences(network))])


def heading(network: OneNetwork) -> str:
    """The network, its size and its data set."""
    return f"{network.name}: {network.parameters:,} parameters, data set {network.dataset}"


def table(network: OneNetwork) -> str:
    """The rows as aligned text."""
    lines = [HEAD, *rows(network)]
    return aligned(lines, right=range(1, len(HEAD)))


def rows(network: OneNetwork) -> list[tuple[str, ...]]:
    """A line for the accuracy and for each of MEASURES: both frameworks, with the 95 % confidence interval of
    the mean where there are several values, and their difference or ratio."""
    verdict = network.verdict
    lines: list[tuple[str, ...]] = [
        (
            "test accuracy, %",
            *(_accuracy(network, framework) for framework in PAIR),
            "" if verdict is None else f"{cells.difference(verdict.comparison)} points",
            " + ".join(str(_seeds(network, framework)) for framework in PAIR),
        ),
    ]
    for measure in MEASURES:
        sides, ratio = network.values(measure.column), network.ratio(measure.column)
        if ratio is not None:
            means = (_mean(side, measure.digits) for side in sides)
            lines.append((measure.name, *means, cells.ratio(ratio), " + ".join([str(ratio.n)] * len(PAIR))))
    return lines


def _seeds(network: OneNetwork, framework: str) -> int:
    return network.groups[framework].seeds if framework in network.groups else 0


def _accuracy(network: OneNetwork, framework: str) -> str:
    group = network.groups.get(framework)
    return "" if group is None else _mean(list(pooling.by_seed(group, "accuracy").values()), 2)


def _mean(values: list[float], digits: int) -> str:
    """`97.59 (97.51 to 97.67)`: mean and its interval, if there is one."""
    mean, bounds = significance.summary(values).mean, significance.interval(values)
    if bounds is None:
        return f"{mean:,.{digits}f}"
    return f"{mean:,.{digits}f} ({bounds[0]:,.{digits}f} to {bounds[1]:,.{digits}f})"


def sentences(network: OneNetwork) -> list[str]:
    """The answers on accuracy, speed and memory, a line each."""
    return [f"Accuracy: {accuracy(network)}", f"Speed: {speed(network)}", f"Memory: {memory(network)}"]


def accuracy(network: OneNetwork) -> str:
    """Whether the accuracies differ, and the number of seeds that would decide it where they are too few."""
    verdict = network.verdict
    if network.refusal:
        return network.refusal
    if verdict is None:
        missing = [display_name(name) for name in PAIR if name not in network.groups]
        return f"no finished run in {' and '.join(missing)}." if missing else "no seed has run in both."
    comparison = verdict.comparison
    about = f"{FIRST} minus {SECOND} is {comparison.mean:+.3f} points"
    if comparison.interval is None:
        return f"{about} in one pair of runs, which has no interval; --seeds 10 gives a verdict."
    low, high = comparison.interval
    about += f" (95 % {low:+.3f} to {high:+.3f}) over {comparison.n} pairs of runs with one seed"
    return (
        f"{verdict.verdict}. {about}; within ±{MARGIN:g} points two accuracies count as equivalent."
        f"{_more(verdict)}"
    )


def _more(verdict: ModelVerdict) -> str:
    """A sentence on the seeds that an inconclusive verdict lacks; empty for another one."""
    if verdict.verdict != INCONCLUSIVE:
        return ""
    if verdict.more_seeds is None:
        return f" More than {NUMBERS[-1]:,} further seeds would be needed for a verdict."
    total = verdict.comparison.n + verdict.more_seeds
    return f" With --seeds {total:,} there is a verdict with a probability of {100 * POWER:.0f} %."


def speed(network: OneNetwork) -> str:
    """Which framework trains faster, and the seconds of a whole run."""
    ratio = network.ratio("images_per_second")
    if ratio is None:
        return NOT_MEASURED
    first, second = (_mean(side, 1) for side in network.values("total_seconds"))
    return (
        f"{_ahead(ratio, Lead('trains {} faster'))} A whole run takes {first} s in {FIRST} and {second} "
        f"s in {SECOND}. {_measured_on(network)}"
    )


def memory(network: OneNetwork) -> str:
    """Which framework takes less memory."""
    ratio = network.ratio("peak_memory_mib")
    if ratio is None:
        return NOT_MEASURED
    first, second = (_mean(side, 0) for side in network.values("peak_memory_mib"))
    return (
        f"{_ahead(ratio, Lead('takes {} less', less=True))} {first} MiB in {FIRST}, {second} MiB in {SECOND}."
    )


def _ahead(ratio: Ratio, lead: Lead) -> str:
    """A sentence on the framework that is ahead: by how many percent."""
    if ratio.interval and not ratio.excludes_one:
        return f"no difference found: {FIRST} over {SECOND} is {cells.ratio(ratio)}."
    bounds = f" ({lead.interval(ratio.interval) if ratio.interval else 'one pair of runs, no interval'})"
    return f"{lead.framework(ratio.mean)} {lead.phrase([ratio.mean])}{bounds}."


def _measured_on(network: OneNetwork) -> str:
    """The pairs behind the times, their threads, machine and device."""
    timed = network.timed
    last = timed.iloc[-1]
    threads = int(last["threads"])
    number = "one pair of runs" if len(timed) == 1 else f"{len(timed)} pairs of runs"
    device = "" if last["device"] == "cpu" else f", {last['device']}"
    return (
        f"Times and memory are of {number}, alone on {last['machine']}{device}, with {threads} "
        f"thread{'s' * (threads != 1)}."
    )
