"""The section of networks of users' own files, each judged by itself and apart from the zoo's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from common.analysis import aa, ablation, frames, pooling
from common.analysis.frames import Tables
from common.analysis.one_network import OneNetwork, extents, own_networks
from common.frameworks import PAIR, display_name
from common.model.zoo import ZOO
from common.report import ablation_tables, cells, one_network, run_tables, sessions
from common.report.markdown import listed, markdown

TITLE = "Your networks"

RECIPE = ("model", "recipe_hash", "dataset")
"""Columns in which all runs of one recipe on one data set agree."""


def section(tables: Tables) -> str:
    """The networks' verdicts, a table of accuracy, times and memory for each, ablations, measured sessions,
    other settings and failed runs; empty without rows of such networks."""
    runs = frames.apart(tables)[1].runs
    if runs.empty and all(rows.empty for rows in _sessions(tables)):
        return ""
    networks = own_networks(tables)
    parts = [
        "Networks of files of your own (`--model FILE.py`). Each is judged by itself, adjusted for no other; "
        "none is part of the tables, tests and figures of the zoo.",
        _summary(networks) if networks else "",
        *(_details(network, label) for network, label in zip(networks, _labels(networks), strict=True)),
    ]
    parts += _ablations(runs, networks)
    parts += _measured(tables)
    if others := _other_settings(runs, networks):
        parts.append(f"### Other settings of your networks\n\n{others}")
    if (runs["status"] != "ok").any() or (runs["reason"] != "").any():
        parts.append(f"### Unfinished runs of your networks\n\n{run_tables.failed(runs)}")
    return "\n\n".join(filter(None, parts))


def sentences(tables: Tables) -> list[str]:
    """The answers on accuracy, speed and memory of each network, as Markdown."""
    networks = own_networks(tables)
    return [
        f"**{label}, {subject.lower()}**:{rest}"
        for network, label in zip(networks, _labels(networks), strict=True)
        for subject, _, rest in (line.partition(":") for line in one_network.sentences(network))
    ]


def text(tables: Tables) -> str:
    """The comparisons for the terminal; empty without any."""
    return "\n\n\n".join(map(one_network.text, own_networks(tables)))


def _labels(networks: Sequence[OneNetwork]) -> list[str]:
    """The names; where one has several recipes or data sets, also what tells them apart."""
    names = Counter(network.name for network in networks)
    versions = Counter((network.name, network.dataset) for network in networks)
    labels = []
    for network in networks:
        parts = [f"`{network.name}`"]
        if names[network.name] > versions[network.name, network.dataset]:
            parts.append(network.dataset)
        if versions[network.name, network.dataset] > 1:
            parts.append(f"recipe {network.tables.runs['recipe_hash'].iloc[0]}")
        labels.append(", ".join(parts))
    return labels


def _summary(networks: Sequence[OneNetwork]) -> str:
    """A line for each network."""
    rows = [
        [
            *(label, network.dataset, f"{network.parameters:,}"),
            *(cells.mean(network.groups.get(name), "accuracy") for name in PAIR),
            "" if network.verdict is None else cells.difference(network.verdict.comparison),
            "" if network.verdict is None else network.verdict.verdict,
        ]
        for network, label in zip(networks, _labels(networks), strict=True)
    ]
    sides = [f"{side.upper()} %" for side in (one_network.FIRST, one_network.SECOND)]
    return markdown(["NETWORK", "DATA", "PARAMS", *sides, "DIFFERENCE", "VERDICT"], rows, right=(2, 3, 4, 5))


def _details(network: OneNetwork, label: str) -> str:
    """The table and the sentences of one network, and the files that its rows name."""
    files = ", ".join(f"`{file}`" for file in dict.fromkeys(network.tables.runs["model_file"]) if file)
    lines = [list(row) for row in one_network.rows(network)]
    table = markdown(list(one_network.HEAD), lines, right=(1, 2, 3, 4))
    about = f"{network.parameters:,} parameters, data set {network.dataset}, from {files}."
    return "\n\n".join([f"### {label}", about, table, listed(one_network.sentences(network))])


def _sessions(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of speed.csv and of traces.csv with networks of users' own files."""
    own = frames.apart(tables)[1]
    speed, traces = (rows[~rows["model"].isin(set(ZOO))] for rows in (own.speed, own.traces))
    return speed, traces


def _measured(tables: Tables) -> list[str]:
    """The measured sessions, and the networks of those that cannot be listed."""
    (speed, traces), known = _sessions(tables), extents(tables)
    parts = []
    again = speed["measure"].str.startswith(aa.PREFIX)
    if unknown := sorted(set(speed[again]["model"]) - set(known)):
        names = ", ".join(f"`{name}`" for name in unknown)
        parts.append(
            f"Not listed are sessions of `bench aa` with {names}: they name no recipe, and the runs of such "
            "a network have several, or there are none."
        )
    return parts + sessions.by_dataset(speed, traces, known, whose="your networks")


def _ablations(runs: pd.DataFrame, networks: Sequence[OneNetwork]) -> list[str]:
    """The effects of the frameworks' own defaults on each network, under titles."""
    parts = []
    for network, label in zip(networks, _labels(networks), strict=True):
        of_network = (runs[list(RECIPE)] == network.tables.runs.iloc[0][list(RECIPE)]).all(axis="columns")
        if found := ablation.of_recipe(runs[of_network]):
            parts += [f"### Ablation of the defaults: {label}", ablation_tables.of_own(found)]
    return parts


def _other_settings(runs: pd.DataFrame, networks: Sequence[OneNetwork]) -> str:
    """The accuracies of runs in another precision or with another loader, or with a framework's defaults
    where no pinned run makes them an ablation."""
    pinned = {tuple(network.tables.runs.iloc[0][list(RECIPE)]) for network in networks}
    variants = set(map(ablation.native_column, ablation.ALL_VARIANTS))
    rows = []
    for group in pooling.groups(pooling.newest(runs[runs["status"] == "ok"])):
        changed = {
            field: (pooling.format_value(group.fields[field]), value)
            for field, value in pooling.DEFAULTS.items()
            if field != "dataset" and group.fields[field] != value
        }
        in_ablation = (
            set(changed) == {"native"}
            and group.fields["native"] in variants
            and tuple(group.fields[field] for field in RECIPE) in pinned
        )
        if changed and not in_ablation:
            names = f"`{group.model}`", display_name(group.framework), str(group.fields["dataset"])
            rows.append([*names, run_tables.settings(changed), cells.accuracy(group, "accuracy")])
    head = ["NETWORK", "FRAMEWORK", "DATA", "SETTINGS", "ACCURACY"]
    return markdown(head, rows, right=(4,)) if rows else ""
