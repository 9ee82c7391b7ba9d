"""Runs as tables: accuracy, test accuracy per epoch, time and memory, other settings, failed runs.

Rows are groups of runs that may be pooled (common.analysis.pooling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from common.analysis import pooling, significance
from common.analysis.pooling import ENVIRONMENT, POOLED, Group
from common.frameworks import display_name
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import listed, markdown

DIFFERING = (
    "Rows of one network with other settings too; a difference between them need not be the framework's:"
)


def accuracies(groups: Sequence[Group]) -> str:
    if not groups:
        return "None yet."
    head = (
        "MODEL | FRAMEWORK | DEVICE | ACCURACY | LOWEST | HIGHEST | THRESHOLD | SHIFTED | AIM | TEST LOSS | "
        "TRAIN ACCURACY | TRAIN LOSS"
    )
    rows = [
        [
            *(f"`{group.model}`", display_name(group.framework), device(group)),
            cells.accuracy(group, "accuracy"),
            *(f"{group.runs['accuracy'].min():.2f} %", f"{group.runs['accuracy'].max():.2f} %"),
            f"{ZOO[group.model].threshold:g} %",
            cells.accuracy(group, "shifted_accuracy"),
            "" if (aim := ZOO[group.model].target) is None else f"{aim:g} %",
            cells.mean_and_sd(group, "loss", 4),
            cells.accuracy(group, "train_accuracy"),
            cells.mean_and_sd(group, "train_loss", 4),
        ]
        for group in groups
    ]
    note = (
        "SHIFTED is by the mean logits of five views of each test image, itself and shifted up, down, left "
        "and right by the pixels that the recipe says, if it does: there it is what AIM is for."
    )
    table = f"{note}\n\n{markdown(head.split(' | '), rows, right=range(3, 12))}"
    names = differing(groups)
    return f"{table}\n\n{DIFFERING}\n\n{listed(names)}" if names else table


def per_epoch(groups: Sequence[Group], epochs: pd.DataFrame) -> str:
    if not groups:
        return "None yet."
    tables = [(group, epochs[epochs["run"].isin(set(group.runs["run"]))]) for group in groups]
    last = max((int(table["epoch"].max()) for _, table in tables if len(table)), default=0)
    rows = []
    for group, table in tables:
        means = {
            epoch: f"{significance.summary(part['accuracy']).mean:.2f}"
            for epoch, part in table.groupby("epoch")
        }
        cells = [means.get(epoch, "") for epoch in range(last + 1)]
        rows.append([f"`{group.model}`", display_name(group.framework), device(group), *cells])
    head = ["MODEL", "FRAMEWORK", "DEVICE", *map(str, range(last + 1))]
    note = "Mean in percent after each epoch; 0 is before training."
    return f"{note}\n\n{markdown(head, rows, right=range(3, last + 4))}"


def times(runs: pd.DataFrame) -> str:
    """Grouped also by what time depends on; letters stand for machines."""
    groups = pooling.groups(runs, by=(*POOLED, *ENVIRONMENT))
    if not groups:
        return "None yet."
    places = list(dict.fromkeys(_place(group) for group in groups))
    head = (
        "MODEL | FRAMEWORK | SETTINGS | ON | N | TRAIN S | S / EPOCH | IMPORT S | BUILD S | FIRST STEP S | "
        "PREDICT S | IMAGES / S | MEMORY MIB | TOTAL S | CPU S | LOAD BEFORE | AFTER"
    )
    rows = []
    for group in groups:
        per_epoch = Group(
            group.fields, group.runs.assign(each=group.runs["train_seconds"] / group.runs["epochs"])
        )
        rows.append(
            [
                *(
                    f"`{group.model}`",
                    display_name(group.framework),
                    _from_zoo(group),
                    str(places.index(_place(group)) + 1),
                ),
                str(len(group.runs)),
                *(cells.mean_and_sd(group, "train_seconds", 1), cells.mean_and_sd(per_epoch, "each", 2)),
                *(
                    cells.mean_and_sd(group, f"{part}_seconds", 2)
                    for part in ("import", "build", "first_step", "predict")
                ),
                *(
                    cells.mean_and_sd(group, "images_per_second", 0),
                    cells.mean_and_sd(group, "peak_memory_mib", 0),
                ),
                *(cells.mean_and_sd(group, "total_seconds", 1), cells.mean_and_sd(group, "cpu_seconds", 1)),
                *(cells.mean_and_sd(group, "load_before", 1), cells.mean_and_sd(group, "load_after", 1)),
            ]
        )
    note = (
        "ON is the machine and the versions in the list below. Training time leaves tests out; total and CPU "
        "seconds are of the whole process, the latter of all cores; loads are averages of a minute."
    )
    machines = "\n".join(f"{number}. {place}" for number, place in enumerate(places, start=1))
    return f"{note}\n\n{markdown(head.split(' | '), rows, right=range(3, 17))}\n\n{machines}"


def other_settings(groups: Sequence[Group]) -> str:
    if not groups:
        return "None."
    head = ["MODEL", "FRAMEWORK", "DEVICE", "ACCURACY", "TRAIN ACCURACY", "DIFFERS FROM THE ZOO'S RECIPE IN"]
    rows = [
        [
            *(f"`{group.model}`", display_name(group.framework), device(group)),
            *(cells.accuracy(group, "accuracy"), cells.accuracy(group, "train_accuracy"), _from_zoo(group)),
        ]
        for group in groups
    ]
    note = "Not comparable with the rows above; after 'instead of' stands what the zoo's recipe has."
    return f"{note}\n\n{markdown(head, rows, right=(3, 4))}"


def failed(runs: pd.DataFrame) -> str:
    failed = runs[runs["status"] != "ok"].sort_values(["started", "run"])
    if failed.empty:
        return "None."
    columns = [
        "model",
        "framework",
        "seed",
        "status",
        "epochs",
        "lr",
        "native",
        "precision",
        "started",
        "run",
        "reason",
    ]
    rows = [[pooling.format_value(row[column]) for column in columns] for row in failed.to_dict("records")]
    return markdown([column.upper() for column in columns], rows, right=(2, 4, 5))


def differing(groups: Sequence[Group]) -> list[str]:
    """For each group that differs from its network's first in more than the framework: in what."""
    first: dict[str, Group] = {}
    found = []
    for group in groups:
        against = first.setdefault(group.model, group)
        names = pooling.differences(group.fields, against.fields, but=("framework",))
        if names:
            pair = f"{display_name(group.framework)} against {display_name(against.framework)}"
            found.append(f"`{group.model}`, {pair}: {settings(names)}")
    return found


def settings(differences: Mapping[str, tuple[str, str]]) -> str:
    """`lr 0.1 instead of 0.01; threads 1 instead of 2`."""
    return "; ".join(f"{field} {ours} instead of {theirs}" for field, (ours, theirs) in differences.items())


def device(group: Group) -> str:
    """`cpu, 2 threads`, and the number of processes where there are several."""
    threads, processes = group.fields["threads"], group.fields["world_size"]
    several = "" if processes == 1 else f", {processes} processes"
    return f"{group.fields['device']}, {threads} thread{'s' * (threads != 1)}{several}"


def _place(group: Group) -> str:
    version = f"{display_name(group.framework)} {group.fields['framework_version']}"
    return f"{group.fields['machine']}; {device(group)}; {version}; Python {group.fields['python']}"


def _from_zoo(group: Group) -> str:
    """In what a group's settings differ from the zoo's recipe."""
    entry = ZOO.get(group.model)
    if entry is None:
        return "not in the zoo"
    return settings(pooling.differences(group.fields, pooling.default_settings(entry))) or "the zoo's"
