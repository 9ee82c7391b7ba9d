"""The answer in sentences: what the framework changes in accuracy, speed, memory, start-up and defaults."""

from __future__ import annotations

import re
from collections.abc import Sequence

from common.analysis import meta, pooling
from common.analysis.aa import EXACT
from common.analysis.answer import NO_GPU, Answer
from common.analysis.meta import Pooled
from common.analysis.significance import INCONCLUSIVE, MARGIN, Comparison, geometric
from common.analysis.verdicts import ONE_RUN, ModelVerdict
from common.data.batches import TEST_BATCH_SIZE
from common.frameworks import PAIR, display_name
from common.model.layers import Conv
from common.model.zoo import ZOO
from common.report import cells
from common.report.ablation_tables import PART_NAMES
from common.report.leads import Lead, undecided
from common.report.leads import sentences as leads
from common.report.markdown import listed

FIRST, SECOND = (display_name(name) for name in PAIR)

NOT_MEASURED = "not measured yet (`python -m common.bench {}`)."
REASONS = {
    "training": Lead("trains faster"),
    "prediction": Lead("predicts batches faster"),
    "whole run": Lead("ends a whole run sooner", less=True),
    "memory": Lead("needs less memory", less=True),
    "import": Lead("starts faster", less=True),
}
"""Reasons for the framework that is ahead in a quantity."""

WORDS = (
    "A *pair of runs* is one of each framework with one seed, which decides the initial weights and the "
    "order of the images. *Too noisy*: runs of one framework differ too much among themselves. Every "
    "network was trained in both frameworks, those with a framework in their name too."
)

_DENSE = [
    f"`{name}`"
    for name, entry in ZOO.items()
    if not any(isinstance(node.layer, Conv) for node in entry.spec.leaves())
]
COMPILED = (
    f"By default the scripts compile dense networks ({', '.join(_DENSE)}) in {SECOND}, by XLA, and nothing "
    f"in {FIRST}."
)
"""Sentence on what the scripts compile by default, which no table has: backends/*/fast.py."""


def sentences(answer: Answer) -> list[str]:
    """A line of Markdown for each subject, with its name in bold; none without pairs of runs."""
    if not answer.pairs:
        return []
    return [
        *(f"**In short**: {sentence}" for sentence in in_short(answer)),
        f"**Accuracy**: {accuracy(answer)}",
        *(f"**Other data**: {sentence}" for sentence in other_data(answer)),
        *speed(answer),
        f"**Defaults**: {defaults(answer)}",
    ]


def speed(answer: Answer) -> list[str]:
    """The lines on speed, memory and start-up."""
    return [
        f"**Training speed** (images a second): {training(answer)} {COMPILED}",
        *(f"**Whole run** (seconds, with start-up and tests): {sentence}" for sentence in whole_run(answer)),
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
    measured = f"Times and memory were measured with {versions} on {names}. " if names else ""
    return f"{listed(lines)}\n\n{measured}{WORDS}"


def plain(text: str) -> str:
    """The text without the marks of Markdown, for the terminal."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "").replace("`", "")


def capitalised(text: str) -> str:
    """The text as a sentence of its own."""
    return text[:1].upper() + text[1:]


def in_short(answer: Answer) -> list[str]:
    """Reasons for each framework: only what is certain on average over networks; none if nothing is."""
    pooled = answer.accuracy
    reasons: dict[str, list[str]] = {FIRST: [], SECOND: []}
    if pooled and not has_zero(pooled.interval):
        reasons[FIRST if pooled.mean > 0 else SECOND].append("is more accurate")
    for name, lead in REASONS.items():
        overall = quantity.overall if (quantity := answer.quantities.get(name)) else None
        if overall and overall.borne and overall.ratio.excludes_one:
            reasons[lead.framework(overall.ratio.mean)].append(lead.words)
    if len(single := list(answer.single_images.values())) > 1:
        mean, low, high = geometric(single)
        if not low <= 1 <= high:
            reasons[FIRST if mean > 1 else SECOND].append("predicts single images faster")
    equal = pooled and has_zero(pooled.interval) and max(map(abs, pooled.interval)) <= MARGIN
    parts = ["with the same definitions in both, accuracy is no reason to choose"] if equal else []
    parts += [f"{name} {cells.enumerated(those)}" for name, those in reasons.items() if those]
    if not parts:
        return []
    quantity = answer.quantities.get("training")
    speed = quantity.overall if quantity else None
    if (
        quantity
        and speed
        and not (speed.borne and (speed.ratio.excludes_one or speed.ratio.is_within(EXACT)))
    ):
        parts.append(undecided(quantity, REASONS["training"]))
    sizes = [ZOO[pair.model].spec.parameters for pair in answer.pairs]
    extent = f"on MNIST with networks of {min(sizes):,} to {max(sizes):,} parameters"
    if answer.machines and all(NO_GPU in machine for machine in answer.machines):
        timed = max((len(quantity.by_model) for quantity in answer.quantities.values()), default=0)
        some = f" of {timed} of them" if timed < len(sizes) else ""
        extent += f", times and memory{some} on a CPU: nothing is known here of GPUs and of larger networks"
    return [f"{'; '.join(parts)}. Measured {extent}."]


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
    names = {ONE_RUN: "with one pair of runs, which has no interval"}
    counts = [f"{words.count(word)} {names.get(word, word)}{remarks.get(word, '')}" for word in by_number]
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
        ratios = list(single.values())
        name = FIRST if geometric(ratios)[0] >= 1 else SECOND
        factors = ratios if name == FIRST else [1 / ratio for ratio in ratios]
        mean, low, high = geometric(factors)
        bounds = f"95 % {low:.1f} to {high:.1f}; " if len(factors) > 1 else ""
        parts.append(
            f"{name} predicts single images {mean:.1f} times as fast on average over "
            f"{len(factors)} network{'s' * (len(factors) > 1)} ({bounds}by network {min(factors):.1f} to "
            f"{max(factors):.1f} times; medians of many calls, noise not measured)."
        )
    if quantity := answer.quantities.get("prediction"):
        parts.append(f"In batches of {TEST_BATCH_SIZE:,}: {leads(quantity, Lead('predicts {} faster'))}")
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
    for model, seconds in answer.starts().items():
        whole = _seconds(f"from its start to the end of its first step a process of `{model}` takes", seconds)
        plain = answer.starts("plain step").get(model)
        beside = f" ({_seconds('the shortest program', plain)})" if plain else ""
        parts.append(f"{whole}{beside}")
    return f"{'; '.join(parts)}." if parts else NOT_MEASURED.format("aa")


def _seconds(noun: str, seconds: tuple[float, float]) -> str:
    first, second = (f"{value:.1f}" if value >= 1 else f"{value:.2g}" for value in seconds)
    return f"{noun} {first} s in {FIRST} and {second} s in {SECOND}"


def defaults(answer: Answer) -> str:
    """The largest difference of accuracies where each framework has its own defaults, and the part that makes
    most of it; if any differences are certain, the largest of those."""
    found = answer.own_defaults
    if not found:
        return NOT_MEASURED.format("ablation")
    certain = [model for model, attribution in found.items() if is_certain(attribution.gap)]
    model = max(certain or found, key=lambda name: abs(found[name].gap.mean))
    gap, parts = found[model].gap, found[model].parts
    alike = sum((found[name].gap.mean > 0) == (gap.mean > 0) for name in certain)
    where = f" in {alike} of {len(found)} networks" if len(found) > 1 else ""
    higher, other = (FIRST, SECOND) if gap.mean > 0 else (SECOND, FIRST)
    where += f" and {other} in {len(certain) - alike}" if len(certain) > alike else ""
    ahead = f"{higher} is higher{where}" if certain else "no difference found"
    if gap.interval is None:
        ahead = "too few seeds for an interval"
    largest = "the largest certain difference" if 0 < len(certain) < len(found) else "the largest difference"
    number = "the only network measured in both" if len(found) == 1 else f"{largest} of {len(found)} networks"
    causes = {part: added for part, added in parts.items() if certain and is_certain(added)}
    cause = max(causes, key=lambda part: abs(causes[part].mean), default=None)
    why = f"; {PART_NAMES[cause]} alone makes {_points(causes[cause])}" if cause else ""
    if cause and abs(causes[cause].mean) > abs(gap.mean) and (causes[cause].mean > 0) == (gap.mean > 0):
        why += ", which the others offset in part"
    intervals = "all intervals are" if cause else "the interval is"
    adjusted = f"; {intervals} adjusted for all effects of the ablation" if gap.interval else ""
    return (
        f"{ahead} with each framework's own initialisation, BatchNorm and optimizer: "
        f"{FIRST} minus {SECOND} is {_points(gap)} for `{model}`, {number}{why}{adjusted}."
    )


def is_certain(difference: Comparison) -> bool:
    """Whether it has an interval, without 0."""
    return difference.interval is not None and not has_zero(difference.interval)


def has_zero(interval: tuple[float, float]) -> bool:
    return interval[0] <= 0 <= interval[1]


def _points(difference: Comparison) -> str:
    """`-0.02 points (95 % -0.26 to +0.22)`."""
    mean = f"{difference.mean:+.2f} points"
    if difference.interval is None:
        return mean
    low, high = difference.interval
    return f"{mean} (95 % {low:+.2f} to {high:+.2f})"
