"""A few runs in short: each network's accuracies, and a sentence with its verdict and the recorded one."""

from __future__ import annotations

from common.analysis import pooling
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.analysis.verdicts import ModelVerdict, judge
from common.cli.text_table import aligned
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.model.zoo import ZOO
from common.report import cells

NOTHING = "No finished run has a recipe of the zoo, so there is nothing to compare."

Groups = dict[str, dict[str, Group]]  # by network, by framework


def text(tables: Tables, recorded: Tables) -> str:
    """The comparison for the terminal: an aligned table of accuracies, and below it the sentences."""
    lines = [sentence.replace("`", "") for sentence in sentences(tables, recorded)]
    by_model = _groups(tables)
    if not by_model:
        return "\n".join(lines)
    differences = {verdict.model: cells.difference(verdict.comparison) for verdict in judge(tables)[0]}
    rows = [("MODEL", *(f"{framework.title.upper()} %" for framework in FRAMEWORKS.values()), "DIFFERENCE")]
    for model, groups in by_model.items():
        means = [cells.mean(groups.get(framework), "accuracy") for framework in FRAMEWORKS]
        rows.append((model, *means, differences.get(model, "")))
    return "\n".join([aligned(rows, right=range(1, len(rows[0]))), "", *lines])


def sentences(tables: Tables, recorded: Tables) -> list[str]:
    """A sentence for each network with its verdict and the recorded one, in the zoo's order, as Markdown.

    A network that has been run in one framework alone has the recorded accuracy of that framework beside its
    own. The reasons why runs are not compared come last.
    """
    by_model, recorded_by_model = _groups(tables), _groups(recorded)
    if not by_model:
        return [NOTHING]
    judged, refused = judge(tables)
    verdicts = {verdict.model: verdict for verdict in judged}
    recorded_verdicts = {verdict.model: verdict for verdict in judge(recorded)[0]}
    result = []
    for model, groups in by_model.items():
        missing = [framework for framework in PAIR if framework not in groups]
        if missing:
            result.append(_without_pair(model, missing, groups, recorded_by_model.get(model, {})))
        elif model in verdicts:
            result.append(_with_pairs(verdicts[model], recorded_verdicts.get(model)))
        elif not ZOO[model].judged:
            means = (
                f"{cells.mean(groups[framework], 'accuracy')} % in {display_name(framework)}"
                for framework in PAIR
            )
            result.append(f"`{model}`: {' and '.join(means)}; this network has no verdict.")
    return result + refused


def _groups(tables: Tables) -> Groups:
    """The runs of the zoo's own recipes; of a network with several settings those with the most runs."""
    by_model: Groups = {}
    for group in pooling.largest_groups(pooling.groups(pooling.zoo_runs(tables.runs))):
        by_model.setdefault(group.model, {})[group.framework] = group
    return by_model


def _with_pairs(verdict: ModelVerdict, recorded: ModelVerdict | None) -> str:
    own = "one pair of runs, no interval yet" if verdict.comparison.interval is None else _tested(verdict)
    if recorded is None or recorded.comparison.interval is None:
        return f"`{verdict.model}`: {own}; no interval is recorded."
    return f"`{verdict.model}`: {own}; the recorded {_tested(recorded)}."


def _tested(verdict: ModelVerdict) -> str:
    """`10 pairs: equivalent, +0.007 points (-0.031 to +0.045)`."""
    comparison = verdict.comparison
    return f"{comparison.n} pairs: {verdict.verdict}, {cells.difference(comparison, unit=' points')}"


def _without_pair(
    model: str, missing: list[str], groups: dict[str, Group], recorded: dict[str, Group]
) -> str:
    means = [
        f"{display_name(framework)} {cells.accuracy(group, 'accuracy')}, {_recorded(recorded.get(framework))}"
        for framework, group in groups.items()
    ]
    names = " and ".join(map(display_name, missing))
    return f"`{model}`: no finished run of its recipe in {names}; {'; '.join(means)}."


def _recorded(group: Group | None) -> str:
    return "none recorded" if group is None else f"recorded {cells.accuracy(group, 'accuracy')}"
