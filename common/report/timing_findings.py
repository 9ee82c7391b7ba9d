"""The sentences with which the tables of `common.report.timings` open."""

from __future__ import annotations

from collections.abc import Callable

from common.analysis import aa
from common.frameworks import PAIR, display_name
from common.report.cells import enumerated, number
from common.report.timing_rows import OPTIONS, STAGES, Timings, over

Finding = Callable[[list[Timings]], str]

SHORTER = 0.02
"""The least difference of two steps that is told, as a part of the longer one."""


def span(
    words: str,
    measure: str,
    arm: str,
    divisor: str | None = None,
    *,
    digits: int = 2,
    by_framework: bool = False,
) -> Finding:
    """A sentence with the lowest and the highest value of an arm, or of its ratio to the arm `divisor`.

    `words` hold them in braces; with `by_framework` each framework has its own, after its name.
    """

    def values(measured: list[Timings]) -> list[float]:
        ratios = [
            timings.value(measure, arm)
            if divisor is None
            else over(timings.value(measure, arm), timings.value(measure, divisor))
            for timings in measured
        ]
        return [ratio for ratio in ratios if ratio is not None]

    def ends(numbers: list[float]) -> str:
        low, high = (number(end, digits) for end in (min(numbers), max(numbers)))
        return low if low == high else f"{low} to {high}"

    def finding(measured: list[Timings]) -> str:
        groups = {"": measured}
        if by_framework:
            groups = {
                f"{display_name(name)} ": [timings for timings in measured if timings.framework == name]
                for name in dict.fromkeys(timings.framework for timings in measured)
            }
        spans = [name + ends(found) for name, of in groups.items() if (found := values(of))]
        return words.format(", ".join(spans)) if spans else ""

    return finding


def native_loaders(measured: list[Timings]) -> str:
    """Sentence on training time with the native loader over that from memory, where the clock bears it."""
    ratios = {}
    for timings in measured:
        seconds = (timings.value("idiom train_seconds", loader) for loader in ("native", "memory"))
        if (ratio := over(*seconds)) and aa.bears(timings.clock_error("idiom train_seconds"), ratio):
            ratios[f"`{timings.model}` in {display_name(timings.framework)}"] = ratio
    if not ratios:
        return "No network is measured exactly enough for a ratio of the loaders."
    listed = ", ".join(f"{ratio:.1f} ({name})" for name, ratio in ratios.items())
    return f"With the framework's own loader training takes this many times as long: {listed}."


def largest_stage(measured: list[Timings]) -> str:
    """The stage that takes most of the step, and in how many rows."""
    largest = [max(STAGES, key=lambda stage: timings.value("part", stage) or 0.0) for timings in measured]
    most = max(dict.fromkeys(largest), key=largest.count)
    return f"The longest stage is {most} in {largest.count(most)} of {len(largest)} rows."


def longest_kernel(measured: list[Timings]) -> str:
    """The kernel that is most often the longest, by framework."""
    parts = []
    for name in dict.fromkeys(timings.framework for timings in measured):
        rows = [timings.of("kernel") for timings in measured if timings.framework == name]
        longest = [str(kernels["arm"].iloc[int(kernels["value"].argmax())]) for kernels in rows]
        most = max(dict.fromkeys(longest), key=longest.count)
        parts.append(f"{display_name(name)} `{most}` ({longest.count(most)} of {len(longest)} networks)")
    return f"Most often the longest kernel: {', '.join(parts)}."


def faster_options(measured: list[Timings]) -> str:
    """In how many networks an option makes a step shorter by SHORTER at least, and how long the longest is,
    by framework."""
    parts = []
    for option in OPTIONS[1:]:
        for name in dict.fromkeys(timings.framework for timings in measured):
            ratios = [
                over(timings.value("option", option), timings.value("option", OPTIONS[0]))
                for timings in measured
                if timings.framework == name
            ]
            finite = [ratio for ratio in ratios if ratio is not None]
            if finite:
                shorter = sum(ratio <= 1 - SHORTER for ratio in finite)
                parts.append(
                    f"with {option} in {shorter} of {len(finite)} networks in {display_name(name)} (at worst "
                    f"{max(finite):,.1f} times as long)"
                )
    if not parts:
        return ""
    return f"A step is shorter than by default, by {SHORTER:.0%} at least, {enumerated(parts)}."


def single_images(measured: list[Timings]) -> str:
    """Single images a second, and in how many networks the slowest of them are slower in one framework."""
    words = [span("Single images a second: {}.", "predict", "batch 1", digits=0, by_framework=True)(measured)]
    slowest: dict[str, dict[str, float]] = {}
    for timings in measured:
        if milliseconds := timings.value("predict p99", "batch 1"):
            slowest.setdefault(timings.model, {})[timings.framework] = milliseconds
    first, second = PAIR
    both = [by_framework for by_framework in slowest.values() if by_framework.keys() >= {first, second}]
    if both:
        slower = sum(by_framework[first] > by_framework[second] for by_framework in both)
        words.append(
            f"The slowest 1 % take longer in {display_name(first)} in {slower} of {len(both)} networks."
        )
    return " ".join(filter(None, words))
