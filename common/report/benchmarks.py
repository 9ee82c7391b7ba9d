"""benchmarks.md: what a person compares, a section a subject, each of which opens with its finding."""

from __future__ import annotations

from collections.abc import Iterable

from common.analysis import frames, pooling
from common.analysis.aa import ZOO_RECIPES
from common.analysis.answer import answer_of
from common.analysis.frames import Tables
from common.model.zoo import ZOO
from common.report import (
    ablation_tables,
    answer,
    defaults_tables,
    findings,
    mistake_tables,
    own_networks,
    repetition_tables,
    rounding_tables,
    run_tables,
    sessions,
    speed_ratios,
    timings,
    verdict_tables,
)
from common.report.markdown import listed, slug

MISTAKES = "Mistakes of a port"


def page(tables: Tables, link: str = "results/plots", *, with_own: bool = True) -> str:
    """The whole text of benchmarks.md, with pictures of the folder at the address `link`.

    Networks of users' own files have the last section, unless it is left out, and no other.
    """
    own = own_networks.section(tables) if with_own else ""
    tables, rest_of_tables = frames.apart(tables)
    runs = tables.runs
    introduction = (
        "# Benchmarks\n\nRendered from the tables by `python -m common.report`; do not edit. "
        "A value is mean ± sample standard deviation over n seeds; runs of one seed are no repetitions, so "
        "they are averaged first, and their number is given apart."
    )
    if runs.empty:
        rest = f"## {own_networks.TITLE}\n\n{own}" if own else "No runs yet."
        return f"{introduction}\n\n{rest}\n"
    zoo_runs = pooling.zoo_runs(runs)
    other_data = [pooling.zoo_runs(runs, dataset=name).index for name in pooling.OTHER_DATA]
    others = pooling.groups(runs.drop(zoo_runs.index.append(other_data)))
    of_zoo = pooling.groups(zoo_runs)
    found = answer_of(tables)
    counted = findings.counted(runs)
    sections = {
        "Accuracy of the zoo's recipes": [findings.most_accurate(of_zoo), run_tables.accuracies(of_zoo)],
        "Verdicts": [verdict_tables.details(tables)],
        "Other data": [
            *map(answer.capitalised, answer.other_data(found)),
            verdict_tables.other_data(tables),
            *_other_sessions(rest_of_tables),
        ],
        repetition_tables.TITLE: [repetition_tables.section(runs)],
        "First steps": [
            findings.first_steps(tables.traces),
            rounding_tables.section(tables.traces),
            rounding_tables.not_traced(tables.traces),
        ],
        "The defaults": [findings.defaults(tables.defaults), defaults_tables.side_by_side(tables.defaults)],
        "Ablation of the defaults": [findings.ablations(found), ablation_tables.section(runs)],
        MISTAKES: [mistake_tables.section(tables.mistakes, link)],
        "Speed": [
            listed(answer.speed(found)),
            "Tables below are of different sessions, some of older code: compare within one table only.",
            speed_ratios.section(tables),
            timings.section(tables.speed),
        ],
        "Other settings": [findings.other_settings(others), run_tables.other_settings(others)],
        "Unfinished runs": [f"{counted}.", run_tables.failed(runs)],
        **({own_networks.TITLE: [own]} if own else {}),
    }
    return (
        "\n\n".join(
            [
                introduction,
                f"{counted}. {len(zoo_runs)} of the finished runs have the zoo's own recipe. Seconds and "
                "memory of single runs, by machine, are columns of results.csv.",
                contents(sections),
                *("\n\n".join([f"## {title}", *filter(None, parts)]) for title, parts in sections.items()),
            ]
        )
        + "\n"
    )


def _other_sessions(tables: Tables) -> list[str]:
    """Measurements of the zoo's networks on other data, which are kept apart as users' networks are."""
    speed, traces = (rows[rows["model"].isin(set(ZOO))] for rows in (tables.speed, tables.traces))
    return sessions.by_dataset(speed, traces, ZOO_RECIPES, whose="the zoo's networks")


def contents(titles: Iterable[str]) -> str:
    """A list of links to the headings `titles` of a page."""
    return listed(f"[{title}](#{slug(title)})" for title in titles)
