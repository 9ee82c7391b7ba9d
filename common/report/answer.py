"""The answer in sentences: what the framework changes in accuracy, speed, memory, start-up and defaults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from common.analysis import meta, pooling
from common.analysis.answer import Answer, Quantity
from common.analysis.meta import Pooled
from common.analysis.significance import MARGIN, Comparison, geometric
from common.analysis.verdicts import ModelVerdict
from common.frameworks import PAIR, display_name
from common.report import cells
from common.report.markdown import listed
from common.report.speed_ratios import noise

FIRST, SECOND = (display_name(name) for name in PAIR)

NOT_MEASURED = "not measured yet (`python -m common.bench {}`)."


def sentences(answer: Answer) -> list[str]:
    """A line of Markdown for each subject, with its name in bold; none without pairs of runs."""
    if not answer.pairs:
        return []
    return [
        f"**Accuracy**: {accuracy(answer)}",
        *(f"**Other data**: {sentence}" for sentence in other_data(answer)),
        *speed(answer),
        f"**Defaults**: {defaults(answer)}",
    ]


def speed(answer: Answer) -> list[str]:
    """The lines on speed, memory and start-up."""
    return [
        f"**Training speed**: {training(answer)}",
        f"**Prediction speed**: {prediction(answer)}",
        f"**Memory**: {memory(answer)}",
        f"**Start-up**: {start_up(answer)}",
    ]


def block(answer: Answer) -> str:
    """The sentences as a list, and the machines below it."""
    lines = sentences(answer)
    if not lines:
        return ""
    names = " and ".join(machine.replace("; ", ", ") for machine in answer.machines)
    machines = f"Times and memory were measured on {names}." if names else ""
    return "\n\n".join(filter(None, [listed(lines), machines]))


def plain(text: str) -> str:
    """The text without the marks of Markdown, for the terminal."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "").replace("`", "")


def capitalised(text: str) -> str:
    """The text as a sentence of its own."""
    return text[:1].upper() + text[1:]


def accuracy(answer: Answer) -> str:
    """Whether the accuracies differ, and by how much."""
    if not answer.pairs:
        return NOT_MEASURED.format("run")
    pooled = answer.accuracy
    counted = _counted(answer.verdicts)
    if pooled is None:
        return f"too few networks for one number. {counted}"
    low, high = pooled.interval
    if low > 0 or high < 0:
        words = f"{FIRST if low > 0 else SECOND} is higher"
    else:
        words = "no difference" if max(-low, high) <= MARGIN else "no difference found"
    return f"{words}. {capitalised(_over_networks(pooled))}. {counted}"


def _over_networks(pooled: Pooled) -> str:
    """`over 13 networks and 157 pairs of runs PyTorch less TensorFlow is -0.002 points (95 % ...)`."""
    low, high = pooled.interval
    return (
        f"over {pooled.networks} networks and {pooled.pairs} pairs of runs {FIRST} less {SECOND} is "
        f"{pooled.mean:+.3f} points (95 % {low:+.3f} to {high:+.3f})"
    )


def other_data(answer: Answer) -> list[str]:
    """Whether the accuracies differ on each other data set with pairs of runs: the mean over networks, or for
    too few of them the network with the largest difference."""
    sentences = []
    for name, judged in answer.other_data.items():
        pooled = meta.pooled([verdict.comparison for verdict in judged])
        if pooled is None:
            largest = max(judged, key=lambda verdict: abs(verdict.comparison.mean))
            about = (
                f"{FIRST} less {SECOND} is {_points(largest.comparison)} for `{largest.model}`, the largest "
                f"difference of {len(judged)} network{'s' * (len(judged) > 1)}"
            )
        else:
            about = _over_networks(pooled)
        sentences.append(f"on {pooling.OTHER_DATA[name]} {about}. {_counted(judged)}")
    return sentences


def _counted(judged: Sequence[ModelVerdict]) -> str:
    """`By network: 9 equivalent, 3 inconclusive.`"""
    words = [verdict.verdict for verdict in judged]
    counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words, key=words.count)[::-1])]
    return f"By network: {', '.join(counts)}."


def training(answer: Answer) -> str:
    """Which framework trains faster, and which ends a whole run first."""
    quantity = answer.quantities.get("training")
    if quantity is None:
        return NOT_MEASURED.format("aa")
    parts = [_overall(quantity, "trains {} faster", "no difference")]
    if whole := answer.quantities.get("whole run"):
        words = _overall(whole, "takes {} less time", "no difference", less=True)
        parts.append(f"A whole run with start-up and tests: {words}")
    return " ".join(parts)


def prediction(answer: Answer) -> str:
    """Which framework predicts faster, by single images and by large batches."""
    parts = []
    if single := answer.single_images:
        mean, *_ = geometric(list(single.values()))
        name, factors = (FIRST, single) if mean >= 1 else (SECOND, {m: 1 / r for m, r in single.items()})
        parts.append(
            f"{name} predicts single images {max(mean, 1 / mean):.1f} times as fast "
            f"(by network {min(factors.values()):.1f} to {max(factors.values()):.1f} times)."
        )
    if quantity := answer.quantities.get("prediction"):
        parts.append(f"In batches: {_overall(quantity, 'predicts {} faster', 'no difference')}")
    return " ".join(parts) or NOT_MEASURED.format("aa")


def memory(answer: Answer) -> str:
    """Which framework takes less memory."""
    quantity = answer.quantities.get("memory")
    if quantity is None:
        return NOT_MEASURED.format("aa")
    first, second = quantity.means
    return (
        f"{_overall(quantity, 'takes {} less', 'no difference', less=True)} "
        f"On average {first:,.0f} MiB in {FIRST} and {second:,.0f} MiB in {SECOND}."
    )


def start_up(answer: Answer) -> str:
    """The seconds that the import takes, and those until the first training step ends."""
    parts = [
        _seconds(noun, answer.quantities[name].means)
        for name, noun in (("import", "the import takes"), ("first step", "the first step takes"))
        if name in answer.quantities
    ]
    parts += [
        _seconds(f"from its start to the end of its first step a process of `{model}` takes", seconds)
        for model, seconds in answer.starts.items()
    ]
    return f"{'; '.join(parts)}." if parts else NOT_MEASURED.format("aa")


def _seconds(noun: str, seconds: tuple[float, float]) -> str:
    first, second = (f"{value:.1f}" if value >= 1 else f"{value:.2g}" for value in seconds)
    return f"{noun} {first} s in {FIRST} and {second} s in {SECOND}"


def defaults(answer: Answer) -> str:
    """The largest difference of accuracies where each framework has its own defaults."""
    gaps = answer.own_defaults
    if not gaps:
        return NOT_MEASURED.format("ablation")
    model = max(gaps, key=lambda name: abs(gaps[name].mean))
    number = "the only network measured" if len(gaps) == 1 else f"the largest of {len(gaps)} networks"
    return (
        "with each framework's own initialisation, BatchNorm and optimizer, "
        f"{FIRST} less {SECOND} is {_points(gaps[model])} for `{model}`, {number}."
    )


def _points(difference: Comparison) -> str:
    """`-0.02 points (95 % -0.26 to +0.22)`."""
    mean = f"{difference.mean:+.2f} points"
    if difference.interval is None:
        return mean
    low, high = difference.interval
    return f"{mean} (95 % {low:+.2f} to {high:+.2f})"


def _overall(quantity: Quantity, words: str, equal: str, *, less: bool = False) -> str:
    """A sentence on the mean over networks, and the range of the networks.

    `words` follow the name of the framework that is ahead: with `less` the one that has less of the quantity.
    `equal` is the sentence where the confidence interval includes 1. In place of a ratio that the clock does
    not bear stands the error of the clock.
    """
    told, ratios = quantity.overall, list(quantity.borne.values())
    over = f"{FIRST} over {SECOND} is"
    between = _by_network(quantity, [f"{ratio:.2f}" for ratio in _ends(ratios)])
    if told is None:
        return f"{over} {between}." if between else "too noisy to compare."
    if not told.borne:
        others = f"; {over} {between}" if between else ""
        return f"too noisy to compare (one framework against itself: {noise(told.clock_error)}){others}."
    low, high = told.ratio.interval or (told.ratio.mean, told.ratio.mean)
    if low <= 1 <= high:
        return "; ".join(filter(None, [f"{equal}: {over} {cells.ratio(told.ratio)}", between])) + "."
    first = (high < 1) == less
    mean, *ends = (_percent(value, less=less, first=first) for value in (told.ratio.mean, low, high))
    percents = _ends(_percent(ratio, less=less, first=first) for ratio in ratios)
    sign = "+" if any(percent < 0 for percent in percents) else ""  # some networks have the other one ahead
    ahead = (
        f"{FIRST if first else SECOND} {words.format(f'{mean:.0f} %')} "
        f"(95 % {min(ends):.0f} to {max(ends):.0f} %)"
    )
    between = _by_network(quantity, [f"{percent:{sign}.0f}" for percent in percents], unit=" %")
    return "; ".join(filter(None, [ahead, between])) + "."


def _ends(values: Iterable[float]) -> list[float]:
    """The lowest and the highest value; none of none."""
    found = list(values)
    return [min(found), max(found)] if found else []


def _by_network(quantity: Quantity, ends: Sequence[str], *, unit: str = "") -> str:
    """`by network 0.64 to 0.80`, with a remark if some networks are too inexact; empty without `ends`."""
    if not ends:
        return ""
    values = f"{' to '.join(dict.fromkeys(ends))}{unit}"
    exact, networks = list(quantity.borne), len(quantity.by_model)
    if len(exact) == networks:
        return f"by network {values}"
    if len(exact) == 1:
        return f"{values} for `{exact[0]}`, the only one of {networks} networks measured exactly enough"
    return f"by network {values}, in the {len(exact)} of {networks} measured exactly enough"


def _percent(ratio: float, *, less: bool, first: bool) -> float:
    """How much more (or, with `less`, how much less) the framework that is ahead has, in percent."""
    own = ratio if first else 1 / ratio
    return 100 * (1 - own) if less else 100 * (own - 1)
