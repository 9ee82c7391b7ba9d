"""Tables of runs: accuracy, other settings, failed runs.

A row is a group of runs that may be pooled (`common.analysis.pooling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from common.analysis import pooling
from common.analysis.pooling import Group
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
    devices = {device(group) for group in groups}
    names = {
        id(group): [
            f"`{group.model}`",
            display_name(group.framework) + (f", {device(group)}" if len(devices) > 1 else ""),
        ]
        for group in groups
    }
    rows = [
        [
            *names[id(group)],
            cells.accuracy(group, "accuracy"),
            f"{group.runs['accuracy'].min():.2f} to {group.runs['accuracy'].max():.2f}",
            _threshold(group),
        ]
        for group in groups
    ]
    targets = [
        [*names[id(group)], f"{target:g} %", cells.accuracy(group, "shifted_accuracy")]
        for group in groups
        if (target := ZOO[group.model].target) is not None
    ]
    losses = [
        [
            *names[id(group)],
            cells.mean_and_sd(group, "loss", 4),
            cells.accuracy(group, "train_accuracy"),
            cells.mean_and_sd(group, "train_loss", 4),
        ]
        for group in groups
    ]
    head = "MODEL | FRAMEWORK | ACCURACY | RUNS % | THRESHOLD"
    head_of_targets = "MODEL | FRAMEWORK | TARGET | ACCURACY WITH TTA"
    head_of_losses = "MODEL | FRAMEWORK | TEST LOSS | TRAIN ACCURACY | TRAIN LOSS"
    note = (
        "RUNS are the lowest and the highest run. THRESHOLD is what the mean of so many seeds must reach in "
        "`python -m common.check`."
    )
    note_on_targets = (
        "TARGET is the mean that a recipe of this project was designed to reach, with test-time augmentation "
        "(TTA) where the recipe has it: by the mean logits of five views of each test image, itself and its "
        "shifts up, down, left and right."
    )
    alike = f" All runs: {devices.pop()}." if len(devices) == 1 else ""
    remarks = differing(groups)
    return "\n\n".join(
        [
            note + alike,
            markdown(head.split(" | "), rows, right=range(2, 5)),
            *(
                [note_on_targets, markdown(head_of_targets.split(" | "), targets, right=(2, 3))]
                if targets
                else []
            ),
            "TRAIN ACCURACY and TRAIN LOSS are means over the last epoch's training batches, with dropout "
            "and augmentation on.",
            markdown(head_of_losses.split(" | "), losses, right=range(2, 5)),
            *([DIFFERING, listed(remarks)] if remarks else []),
        ]
    )


def _threshold(group: Group) -> str:
    accuracy = ZOO[group.model].accuracy
    return "" if accuracy is None else f"{threshold(accuracy, group.seeds):.2f} %"


def other_settings(groups: Sequence[Group]) -> str:
    """Accuracies of groups that the zoo's tables leave out: with other settings, or older arithmetic."""
    if not groups:
        return "None."
    head = "MODEL | FRAMEWORK | NUMERICS | ACCURACY | DIFFERS FROM THE ZOO'S RECIPE IN"
    rows = [
        [
            *(f"`{group.model}`", display_name(group.framework)),
            "" if group.number < 0 else f"{group.number:.0f}",
            cells.accuracy(group, "accuracy"),
            "its older arithmetic" if (differing := _from_zoo(group)) == ZOOS_OWN else differing,
        ]
        for group in groups
    ]
    note = (
        "These rows are not comparable with the rows above. After 'instead of' is the zoo's own value. "
        "NUMERICS is the number of the code's arithmetic; of equal settings the tables above have the newest."
    )
    return f"{note}\n\n{markdown(head.split(' | '), rows, right=(2, 3))}"


def failed(runs: pd.DataFrame) -> str:
    """Every run that diverged, failed or was interrupted, or whose result is doubtful, with the reason."""
    doubtful = runs["reason"].fillna("").astype(str) != ""
    failed = runs[(runs["status"] != "ok") | doubtful].sort_values(["started", "run"])
    if failed.empty:
        return "None."
    failed = failed.assign(started=failed["started"].astype(str).str[: len("2026-01-01")])
    columns = ["model", "framework", "seed", "status", "started", "run", "reason"]
    rows = [[pooling.format_value(row[column]) for column in columns] for row in failed.to_dict("records")]
    return markdown([column.upper() for column in columns], rows, right=(2,))


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
    """`cpu, 2 threads` or `cpu, 1 or 2 threads`, with the number of processes if there are several."""
    threads, processes = sorted(set(group.runs["threads"])), group.fields["world_size"]
    number = f"{' or '.join(map(str, threads))} thread{'s' * (threads != [1])}"
    return f"{group.fields['device']}, {number}" + ("" if processes == 1 else f", {processes} processes")


def _from_zoo(group: Group) -> str:
    """The settings of a group that differ from the zoo's."""
    entry = ZOO.get(group.model)
    if entry is None:
        return "not in the zoo"
    return settings(pooling.differences(group.fields, pooling.default_settings(entry))) or ZOOS_OWN
