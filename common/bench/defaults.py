"""`bench defaults`: record what each installed framework does by default."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from common.bench.arguments import add_frameworks, add_results
from common.bench.measure import Session, run_json, run_session
from common.frameworks import FRAMEWORKS
from common.tables.schema import DefaultRow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench defaults`."""
    add_frameworks(parser)
    add_results(parser)


def run(options: argparse.Namespace) -> int:
    """Record the defaults; print them side by side."""
    return run_session(options, _record)


def _record(session: Session) -> str:
    from common.analysis import frames
    from common.report import defaults_tables

    for framework in session.frameworks:
        session.append("defaults.csv", defaults(framework))
    rows = frames.frame(session.folder, "defaults.csv")
    return defaults_tables.side_by_side(rows)


def defaults(framework: str) -> Iterator[DefaultRow]:
    """A framework's own defaults, read from the installed library."""
    written = run_json([*FRAMEWORKS[framework].command, "--defaults"])
    for item, value in written["defaults"].items():
        yield DefaultRow(
            sitting="",
            framework=framework,
            framework_version=written["framework_version"],
            item=item,
            value=value,
        )
