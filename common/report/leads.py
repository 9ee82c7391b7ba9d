"""Which framework is ahead in a quantity, in words: on average over networks, and in each of them.

A network counts for a framework where its clock bears the ratio and the ratio's interval excludes 1. Of the
networks whose clock bears none only the direction is reported, as a count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.analysis.aa import EXACT, MeasuredRatio
from common.analysis.answer import Quantity
from common.frameworks import PAIR, display_name
from common.report import cells
from common.report.speed_ratios import noise

FIRST, SECOND = (display_name(name) for name in PAIR)


@dataclass(frozen=True)
class Lead:
    """Words on the framework that is ahead, with braces for a percentage; with `less` it is the one that has
    less of the quantity."""

    words: str
    less: bool = False

    def framework(self, ratio: float) -> str:
        """The framework that is ahead where the first over the second is `ratio`."""
        return FIRST if (ratio < 1) == self.less else SECOND

    def percent(self, ratio: float) -> float:
        """By how many percent it is ahead."""
        own = ratio if self.framework(ratio) == FIRST else 1 / ratio
        return 100 * (1 - own) if self.less else 100 * (own - 1)

    def phrase(self, ratios: Iterable[float]) -> str:
        """`trains 5 to 9 % faster`: the lowest and the highest percentage of ratios on one side of 1."""
        return self.words.format(self.span(ratios))

    def span(self, ratios: Iterable[float]) -> str:
        """`5 to 9 %`."""
        percents = sorted(map(self.percent, ratios))
        ends = dict.fromkeys(f"{percent:.0f}" for percent in (percents[0], percents[-1]))
        return f"{' to '.join(ends)} %"

    def interval(self, bounds: tuple[float, float]) -> str:
        """`95 % 4 to 11 %`: the ends of a ratio's interval, which excludes 1."""
        low, high = sorted(map(self.percent, bounds))
        return f"95 % {low:.0f} to {high:.0f} %"


def sentences(quantity: Quantity, lead: Lead) -> str:
    """Which framework is ahead: on average over networks where the clock bears the average, and in how many
    of the networks."""
    average, networks = quantity.overall, _networks(quantity, lead)
    if average is None:
        return f"{networks}."
    if not average.borne:
        noisy = f"average over all {len(quantity.by_model)} networks measured is too noisy to compare "
        noisy += f"(one framework against itself: {noise(average.clock_error)})"
        if not quantity.borne:
            each = f"each network ({_direction(quantity.by_model.values(), lead)})"
            return f"undecided: the {noisy}, as is {each}."
        return f"{networks}. The {noisy}."
    low, high = average.ratio.interval or (average.ratio.mean, average.ratio.mean)
    if low <= 1 <= high:
        ratio = f"{FIRST} over {SECOND} is {cells.ratio(average.ratio)}"
        words = "neither is ahead" if average.ratio.is_within(EXACT) else "undecided"
        return f"{words} on average over {_all(quantity)}: {ratio}. By network: {networks}."
    ahead = f"{lead.framework(low)} {lead.phrase([average.ratio.mean])} on average over {_all(quantity)}"
    ahead += f" ({lead.interval((low, high))})"
    if _is_same_everywhere(quantity, lead, lead.framework(low)):
        return f"{ahead}; by network {lead.span(quantity.borne.values())}."
    return f"{ahead}. By network: {networks}."


def undecided(quantity: Quantity, lead: Lead) -> str:
    """`TensorFlow trains faster in 3 of 9 networks, the others are undecided`: for an average that is."""
    ahead = _by_framework(_decided(quantity), lead)
    if len(ahead) != 1:
        return f"which one {lead.words} {'differs by network' if ahead else 'is undecided'}"
    [(name, networks)] = ahead.items()
    others = len(quantity.by_model) - len(networks)
    rest = f", the other{'s are' if others > 1 else ' one is'} undecided" if others else ""
    return f"{name} {lead.words} in {len(networks)}{_of(quantity)}{rest}"


def _all(quantity: Quantity) -> str:
    noisy = len(quantity.by_model) > len(quantity.borne)
    return f"all {len(quantity.by_model)} networks measured{', noisy ones included' * noisy}"


def _is_same_everywhere(quantity: Quantity, lead: Lead, framework: str) -> bool:
    """Whether every network's clock bears its ratio, and all have the same framework ahead."""
    return all(
        each.borne and each.ratio.excludes_one and lead.framework(each.ratio.mean) == framework
        for each in quantity.by_model.values()
    )


def _networks(quantity: Quantity, lead: Lead) -> str:
    """`TensorFlow trains 26 to 114 % faster in 2 of 9 networks (...); 7 are too noisy for a ratio (...)`."""
    exact = [each for each in quantity.by_model.values() if each.borne]
    noisy = [each for each in quantity.by_model.values() if not each.borne]
    decided = _decided(quantity)
    groups = _by_framework(decided, lead)
    parts = [
        f"{name} {lead.phrase(of.values())} in {_counted(of, quantity, lead)}" for name, of in groups.items()
    ]
    if equal := len(exact) - len(decided):
        parts.append(f"neither is ahead in {equal}{'' if parts else _of(quantity)}")
    text = ", ".join(parts)
    return "; ".join(filter(None, [text, _too_noisy(noisy, lead, alone=not text)]))


def _decided(quantity: Quantity) -> dict[str, float]:
    """The ratios of the networks whose clock bears them, and in which one framework is ahead."""
    return {
        model: each.ratio.mean
        for model, each in quantity.by_model.items()
        if each.borne and each.ratio.excludes_one
    }


def _by_framework(ratios: dict[str, float], lead: Lead) -> dict[str, dict[str, float]]:
    """The ratios by the framework that is ahead, the one with more networks first."""
    groups: dict[str, dict[str, float]] = {}
    for model, ratio in ratios.items():
        groups.setdefault(lead.framework(ratio), {})[model] = ratio
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def _counted(ratios: Mapping[str, float], quantity: Quantity, lead: Lead) -> str:
    """`2 of 9 networks`, with the names of one to three, and of two or three their percentages."""
    names = ""
    if len(ratios) <= 3:
        each = [
            f"`{model}`" + f" {lead.percent(ratio):.0f} %" * (len(ratios) > 1)
            for model, ratio in ratios.items()
        ]
        names = f" ({', '.join(each)})"
    return f"{len(ratios)}{_of(quantity)}{names}"


def _of(quantity: Quantity) -> str:
    count = len(quantity.by_model)
    return f" of {count} network{'s' * (count != 1)}"


def _too_noisy(noisy: Sequence[MeasuredRatio], lead: Lead, *, alone: bool) -> str:
    """`the other 7 are too noisy for a ratio (ahead by the mean ratio: TensorFlow in 5, PyTorch in 2)`; empty
    for none. With `alone` there are no others."""
    if not noisy:
        return ""
    if len(noisy) == 1:
        count = "the only network is" if alone else "the other one is"
    else:
        count = f"{'all' if alone else 'the other'} {len(noisy)} are"
    return f"{count} too noisy for a ratio ({_direction(noisy, lead)})"


def _direction(measured: Iterable[MeasuredRatio], lead: Lead) -> str:
    """`ahead by the mean ratio: TensorFlow in 5, PyTorch in 2`, in numbers of networks."""
    names = [lead.framework(each.ratio.mean) for each in measured]
    counts = sorted({name: names.count(name) for name in names}.items(), key=lambda item: -item[1])
    return "ahead by the mean ratio: " + ", ".join(f"{name} in {count}" for name, count in counts)
