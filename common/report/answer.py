"""The answer in sentences: what the framework changes in accuracy, speed, memory, start-up and defaults."""

from __future__ import annotations

import re
from collections.abc import Sequence

from common.analysis import meta, pooling
from common.analysis.answer import Answer
from common.analysis.meta import Pooled
from common.analysis.significance import INCONCLUSIVE, MARGIN, Comparison, geometric
from common.analysis.verdicts import ModelVerdict
from common.frameworks import PAIR, display_name
from common.report.leads import Lead
from common.report.leads import sentences as leads
from common.report.markdown import listed

FIRST, SECOND = (display_name(name) for name in PAIR)

NOT_MEASURED = "not measured yet (`python -m common.bench {}`)."
COMPILED = f"{SECOND} compiles dense networks with XLA, {FIRST} compiles nothing."
"""What the scripts compile by default, which no table has: backends/*/fast.py."""


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
        f"**Training speed** (images a second): {training(answer)} {COMPILED}",
        *(f"**Whole run** (with start-up and tests): {sentence}" for sentence in whole_run(answer)),
        f"**Prediction speed**: {prediction(answer)}",
        f"**Memory**: {memory(answer)}",
        f"**Start-up**: {start_up(answer)}",
    ]


def block(answer: Answer) -> str:
    """The sentences as a list, and below it the machines and versions of the times."""
    lines = sentences(answer)
    if not lines:
        return ""
    names = " and ".join(machine.replace("; ", ", ") for machine in answer.machines)
    versions = " and ".join(
        f"{display_name(framework)} {', '.join(found)}" for framework, found in answer.versions.items()
    )
    measured = f"Times and memory were measured with {versions} on {names}." if names else ""
    return "\n\n".join(filter(None, [listed(lines), measured]))


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
    return f"{_on_average(pooled)}. {counted}"


def _on_average(pooled: Pooled) -> str:
    """`no difference on average: over 13 networks and 157 pairs of runs PyTorch minus TensorFlow is ...`."""
    low, high = pooled.interval
    within = max(-low, high) <= MARGIN
    if low > 0 or high < 0:
        words = f"{FIRST if low > 0 else SECOND} is higher"
    else:
        words = "no difference" if within else "no difference found"
    return (
        f"{words} on average: over {pooled.networks} networks and {pooled.pairs} pairs of runs {FIRST} minus "
        f"{SECOND} is {pooled.mean:+.3f} points (95 % {low:+.3f} to {high:+.3f}), "
        f"{'' if within else 'not '}within the margin of ±{MARGIN:g}"
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
                f"{FIRST} minus {SECOND} is {_points(largest.comparison)} for `{largest.model}`, the largest "
                f"difference of {len(judged)} network{'s' * (len(judged) > 1)}"
            )
        else:
            about = _on_average(pooled)
        sentences.append(f"on {pooling.OTHER_DATA[name]} {about}. {_counted(judged)}")
    return sentences


def _counted(judged: Sequence[ModelVerdict]) -> str:
    """`By network: 9 equivalent, 3 inconclusive (too few seeds for a verdict on one network alone).`"""
    words = [verdict.verdict for verdict in judged]
    remarks = {INCONCLUSIVE: " (too few seeds for a verdict on one network alone)"}
    by_number = sorted(set(words), key=lambda word: (-words.count(word), word))
    counts = [f"{words.count(word)} {word}{remarks.get(word, '')}" for word in by_number]
    return f"By network: {', '.join(counts)}."


def training(answer: Answer) -> str:
    """Which framework trains faster."""
    quantity = answer.quantities.get("training")
    if quantity is None:
        return NOT_MEASURED.format("aa")
    return leads(quantity, Lead("trains {} faster"))


def whole_run(answer: Answer) -> list[str]:
    """Which framework ends a whole run first; none where that was not measured."""
    quantity = answer.quantities.get("whole run")
    if quantity is None:
        return []
    return [leads(quantity, Lead("takes {} less time", less=True))]


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
        parts.append(f"In batches: {leads(quantity, Lead('predicts {} faster'))}")
    return " ".join(parts) or NOT_MEASURED.format("aa")


def memory(answer: Answer) -> str:
    """Which framework takes less memory."""
    quantity = answer.quantities.get("memory")
    if quantity is None:
        return NOT_MEASURED.format("aa")
    first, second = quantity.means
    return (
        f"{leads(quantity, Lead('takes {} less', less=True))} "
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
        f"{FIRST} minus {SECOND} is {_points(gaps[model])} for `{model}`, {number}."
    )


def _points(difference: Comparison) -> str:
    """`-0.02 points (95 % -0.26 to +0.22)`."""
    mean = f"{difference.mean:+.2f} points"
    if difference.interval is None:
        return mean
    low, high = difference.interval
    return f"{mean} (95 % {low:+.2f} to {high:+.2f})"
