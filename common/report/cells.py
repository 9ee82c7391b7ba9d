"""Values as the cells of tables print them: means, intervals, ratios, p-values."""

from __future__ import annotations

from collections.abc import Sequence

from common.analysis.pooling import Group
from common.analysis.significance import Comparison, Ratio


def accuracy(group: Group, column: str, *, count: bool = True) -> str:
    """`99.01 ± 0.05 % (n=3)` over n seeds; one has no spread; with repeated seeds also the number of runs.

    Without `count` the numbers in brackets are left out.
    """
    summary = group.summary(column)
    if summary is None:
        return ""
    spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
    if not count:
        return f"{summary.mean:.2f}{spread} %"
    runs = int(group.runs[column].notna().sum())
    repeated = "" if runs == summary.n else f", {runs} runs"
    return f"{summary.mean:.2f}{spread} % (n={summary.n}{repeated})"


def mean_and_sd(group: Group, column: str, digits: int) -> str:
    """Mean and standard deviation of a column over seeds, with `digits` decimals."""
    summary = group.summary(column)
    if summary is None:
        return ""
    return f"{summary.mean:,.{digits}f}" + ("" if summary.sd is None else f" ± {summary.sd:,.{digits}f}")


def number(value: float | None, digits: int = 2) -> str:
    """`1,234.50`; empty for None."""
    return "" if value is None else f"{value:,.{digits}f}"


def mean(group: Group | None, column: str) -> str:
    """`99.01`; empty without runs that measured it."""
    summary = group.summary(column) if group else None
    return "" if summary is None else f"{summary.mean:.2f}"


def difference(comparison: Comparison, digits: int = 3, *, unit: str = "") -> str:
    """`+0.170 (+0.050 to +0.290)`: the mean difference with its confidence interval, if there is one.

    `unit` follows the mean.
    """
    mean = f"{comparison.mean:+.{digits}f}{unit}"
    if comparison.interval is None:
        return mean
    low, high = comparison.interval
    return f"{mean} ({low:+.{digits}f} to {high:+.{digits}f})"


def ratio(value: Ratio) -> str:
    """`1.250 (1.100 to 1.400)`: the ratio with its confidence interval, if there is one."""
    if value.interval is None:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} ({value.interval[0]:.3f} to {value.interval[1]:.3f})"


def p_value(value: float | None) -> str:
    """Three decimals, or `< 0.001`; empty for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def enumerated(words: Sequence[str]) -> str:
    """`one, two and three`; empty for no words."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
