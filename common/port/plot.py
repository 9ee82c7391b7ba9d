"""The picture of a report: the difference at each layer of the forward pass, and the floor."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from common import files
from common.port.check import Report

COLOURS = {"float64": "#0072B2", "float32": "#D55E00"}  # of Okabe and Ito's palette
STAGE = "forward"
LEAST = 1e-17
"""Value at which a difference of nothing is drawn on the logarithmic axis."""


def draw(report: Report) -> Figure:
    """Difference against layer on a logarithmic axis, for each precision, with the floor as a line."""
    rows = [row for row in report.rows if row.stage == STAGE]
    places = list(dict.fromkeys(row.where for row in rows))
    figure = Figure(figsize=(max(6.0, 0.34 * len(places) + 2.5), 5.0), layout="constrained")
    axes = figure.add_subplot()
    for precision, colour in COLOURS.items():
        own = [row for row in rows if row.precision == precision]
        x = [places.index(row.where) for row in own]
        if not own:
            continue
        axes.plot(x, [max(row.floor, LEAST) for row in own], "--", color=colour, label=f"floor, {precision}")
        for verdict, marker in (("agrees", "o"), ("differs", "X")):
            points = [
                (a, row)
                for a, row in zip(x, own, strict=True)
                if (row.verdict == "differs") == (marker == "X")
            ]
            if not points:
                continue
            axes.plot(
                [a for a, _ in points],
                [min(max(row.difference, LEAST), 10.0) for _, row in points],
                marker,
                color=colour,
                markersize=9 if marker == "X" else 5,
                label=f"{verdict}, {precision}",
            )
    axes.set(yscale="log", ylabel="difference relative to the largest value")
    axes.set_xticks(range(len(places)), places, rotation=60, ha="right", fontsize=8)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def save(report: Report, path: Path) -> None:
    """Write the picture as PNG. Raises OSError."""
    content = io.BytesIO()
    draw(report).savefig(content, format="png", dpi=110)
    files.write(path, content.getvalue())
