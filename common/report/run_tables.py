"""Tables of runs: accuracy, test accuracy per epoch, time and memory, other settings, failed runs.

A row is a group of runs that may be pooled (`common.analysis.pooling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from common.analysis import pooling
from common.analysis.pooling import ENVIRONMENT, POOLED, Group
from common.analysis.thresholds import threshold
from common.frameworks import display_name
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import listed, markdown

DIFFERING = (
    "These rows of one network differ in more than the framework, which may be why their accuracies differ:"
)
"""Introduces the list of `differing` rows."""

ZOOS_OWN = "the zoo's"
"""Stands for settings that differ in nothing from the zoo's."""


def accuracies(groups: Sequence[Group]) -> str:
    """Accuracy and loss of every group over seeds, on the test and the training images."""
    if not groups:
        return "None yet."
    head = (
        "MODEL | FRAMEWORK | DEVICE | ACCURACY | LOWEST | HIGHEST | THRESHOLD | TTA | TARGET | TEST LOSS | "
        "TRAIN ACCURACY | TRAIN LOSS"
    )
    rows = [
        [
            *(f"`{group.model}`", display_name(group.framework), device(group)),
            cells.accuracy(group, "accuracy"),
            *(f"{group.runs['accuracy'].min():.2f} %", f"{group.runs['accuracy'].max():.2f} %"),
            _threshold(group),
            cells.accuracy(group, "shifted_accuracy"),
            "" if (target := ZOO[group.model].target) is None else f"{target:g} %",
            cells.mean_and_sd(group, "loss", 4),
            cells.accuracy(group, "train_accuracy"),
            cells.mean_and_sd(group, "train_loss", 4),
        ]
        for group in groups
    ]
    note = (
        "LOWEST and HIGHEST are of single runs. THRESHOLD is what the mean of so many seeds must reach in "
        "`python -m common.check`. TTA is the accuracy with test-time augmentation, in recipes that have it: "
        "by the mean logits of five views of each test image, the image itself and its shifts up, down, left "
        "and right. TARGET is the mean that a recipe was designed to reach, with test-time augmentation "
        "where the recipe has it."
    )
    table = f"{note}\n\n{markdown(head.split(' | '), rows, right=range(3, 12))}"
    remarks = differing(groups)
    return f"{table}\n\n{DIFFERING}\n\n{listed(remarks)}" if remarks else table


def per_epoch(groups: Sequence[Group], epochs: pd.DataFrame) -> str:
    """Mean test accuracy of every group after each epoch."""
    if not groups:
        return "None yet."
    tables = [(group, pooling.epochs_of(group, epochs)) for group in groups]
    last = max((int(table["epoch"].max()) for _, table in tables if len(table)), default=0)
    rows = []
    for group, table in tables:
        means = {epoch: f"{mean:.2f}" for epoch, mean in pooling.by_epoch(table, "accuracy").items()}
        accuracy = [means.get(epoch, "") for epoch in range(last + 1)]
        rows.append([f"`{group.model}`", display_name(group.framework), device(group), *accuracy])
    head = ["MODEL", "FRAMEWORK", "DEVICE", *map(str, range(last + 1))]
    note = "Mean over seeds in percent after each epoch; 0 is before training."
    return f"{note}\n\n{markdown(head, rows, right=range(3, last + 4))}"


def times(runs: pd.DataFrame) -> str:
    """Seconds, throughput, memory and load of runs that had their machine to themselves.

    They are grouped also by machine and versions, which stand as numbers in the table and in full below it.
    """
    groups = pooling.groups(pooling.newest(runs[runs["status"] == "ok"]), by=(*POOLED, *ENVIRONMENT))
    if not groups:
        return "None yet."
    machines = list(dict.fromkeys(_machine(group) for group in groups))
    head = (
        "MODEL | FRAMEWORK | SETTINGS | MACHINE | SEEDS | TRAIN S | S / EPOCH | IMPORT S | BUILD S | FIRST "
        "STEP S | PREDICT S | IMAGES / S | MEMORY MIB | TOTAL S | CPU S | LOAD BEFORE | LOAD AFTER"
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
                    str(machines.index(_machine(group)) + 1),
                ),
                str(group.seeds),
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
        "MACHINE is the number of machine and versions in the list below. TRAIN excludes tests. TOTAL and "
        "CPU are seconds of the whole process, CPU those of all cores. Loads are averages over one minute."
    )
    numbered = "\n".join(f"{number}. {name}" for number, name in enumerate(machines, start=1))
    return f"{note}\n\n{markdown(head.split(' | '), rows, right=range(3, 17))}\n\n{numbered}"


def _threshold(group: Group) -> str:
    accuracy = ZOO[group.model].accuracy
    return "" if accuracy is None else f"{threshold(accuracy, group.seeds):.2f} %"


def other_settings(groups: Sequence[Group]) -> str:
    """Accuracies of groups that the zoo's tables leave out: with other settings, or older arithmetic."""
    if not groups:
        return "None."
    head = (
        "MODEL | FRAMEWORK | DEVICE | NUMERICS | ACCURACY | TRAIN ACCURACY | DIFFERS FROM THE ZOO'S RECIPE IN"
    )
    rows = [
        [
            *(f"`{group.model}`", display_name(group.framework), device(group)),
            "" if group.number < 0 else f"{group.number:.0f}",
            *(cells.accuracy(group, "accuracy"), cells.accuracy(group, "train_accuracy")),
            "its older arithmetic" if (differing := _from_zoo(group)) == ZOOS_OWN else differing,
        ]
        for group in groups
    ]
    note = (
        "These rows are not comparable with the rows above. After 'instead of' is the zoo's own value. "
        "NUMERICS is the number of the code's arithmetic; of equal settings the tables above have the newest."
    )
    return f"{note}\n\n{markdown(head.split(' | '), rows, right=(3, 4, 5))}"


def failed(runs: pd.DataFrame) -> str:
    """Every run that diverged, failed or was interrupted, or whose result is doubtful, with the reason."""
    doubtful = runs["reason"].fillna("").astype(str) != ""
    failed = runs[(runs["status"] != "ok") | doubtful].sort_values(["started", "run"])
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
    """A line for each group that differs from its network's first one in more than the framework."""
    first: dict[str, Group] = {}
    lines = []
    for group in groups:
        against = first.setdefault(group.model, group)
        fields = pooling.differences(group.fields, against.fields, but=("framework", "numerics"))
        if fields:
            pair = f"{display_name(group.framework)} against {display_name(against.framework)}"
            lines.append(f"`{group.model}`, {pair}: {settings(fields)}")
    return lines


def settings(differences: Mapping[str, tuple[str, str]]) -> str:
    """`lr 0.1 instead of 0.01; threads 1 instead of 2`."""
    return "; ".join(f"{field} {value} instead of {other}" for field, (value, other) in differences.items())


def device(group: Group) -> str:
    """`cpu, 2 threads`, with the number of processes if there are several."""
    threads, processes = group.fields["threads"], group.fields["world_size"]
    several = "" if processes == 1 else f", {processes} processes"
    return f"{group.fields['device']}, {threads} thread{'s' * (threads != 1)}{several}"


def _machine(group: Group) -> str:
    """Machine, device and versions."""
    version = f"{display_name(group.framework)} {group.fields['framework_version']}"
    return f"{group.fields['machine']}; {device(group)}; {version}; Python {group.fields['python']}"


def _from_zoo(group: Group) -> str:
    """The settings of a group that differ from the zoo's."""
    entry = ZOO.get(group.model)
    if entry is None:
        return "not in the zoo"
    return settings(pooling.differences(group.fields, pooling.default_settings(entry))) or ZOOS_OWN
