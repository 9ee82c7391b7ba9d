"""The end of a script's output after runs with several seeds: mean, standard deviation, interval."""

from __future__ import annotations

from collections.abc import Sequence


def summary_line(accuracies: Sequence[float], *, seeds: int) -> str:
    """Mean and standard deviation of the accuracies of the runs that have one, and the mean's interval."""
    from common.analysis import significance  # half a second that only several seeds need

    if not accuracies:
        return f"{seeds} seeds: no run ended with an accuracy."
    sample = significance.summary(accuracies)
    line = f"{sample.n} of {seeds} seeds: mean accuracy {sample.mean:.3f} %"
    interval = significance.interval(accuracies)
    if sample.sd is None or interval is None:
        return line
    return f"{line}, standard deviation {sample.sd:.3f}, 95 % interval {interval[0]:.3f} to {interval[1]:.3f}"
