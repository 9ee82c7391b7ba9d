"""Thresholds of accuracy, from the recorded mean and standard deviation over seeds of a network.

One seed may be further below the recorded mean than the mean of ten. A threshold is therefore for a number of
seeds: few of them pass unless they are far too low, and many detect a small loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import scipy.stats

from common.analysis.pooling import Group
from common.analysis.significance import summary
from common.model.entry import Recorded

LEVEL = 0.002
"""The probability that the mean of an honest rerun is below its threshold, whatever the number of seeds, if
the recorded runs of both frameworks are independent; they share seeds, which makes it somewhat larger."""


def threshold(recorded: Recorded, seeds: int) -> float:
    """The accuracy in percent that the mean of so many new seeds of one framework must reach.

    The lower prediction limit of the mean of future values of a normal distribution (Hahn and Meeker,
    "Statistical Intervals", 1991), at LEVEL. Its error has the spread of the new seeds and of the recorded
    ones; its degrees of freedom are those of two frameworks' variances, pooled.
    """
    error = recorded.sd * math.sqrt(1 / seeds + 1 / recorded.seeds)
    return recorded.mean - float(scipy.stats.t.isf(LEVEL, 2 * (recorded.seeds - 1))) * error


def recorded(groups: Sequence[Group], column: str) -> Recorded | None:
    """The accuracies in `column` of a network's groups, a framework each: the mean of the means, the root of
    the mean variance, and the smallest number of seeds. None where a group has fewer than two."""
    summaries = [group.summary(column) for group in groups]
    spreads = [(each.mean, each.sd, each.n) for each in summaries if each is not None and each.sd is not None]
    if not spreads or len(spreads) < len(groups):
        return None
    means, sds, seeds = zip(*spreads, strict=True)
    return Recorded(
        mean=round(summary(means).mean, 3),
        sd=round(math.sqrt(summary(sd**2 for sd in sds).mean), 3),
        seeds=min(seeds),
    )
