"""docs/sources.md: what the sources of the networks claim, what was measured here, and why the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.analysis import pooling
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.frameworks import FRAMEWORKS, display_name
from common.model.entry import Entry
from common.model.zoo import ZOO
from common.report import cells
from common.report.markdown import markdown


@dataclass(frozen=True)
class Record:
    """A published small network: trained parameters, accuracy in percent, and where it is published."""

    parameters: int
    accuracy: float
    name: str
    note: str
    address: str


RECORDS = (
    Record(
        697,
        99.03,
        "Parameter-Efficient-MNIST (Warn)",
        "the best of about 700 runs",
        "https://github.com/JoshWarn/Parameter-Efficient-MNIST",
    ),
    Record(
        3_762,
        99.52,
        "pytorch-examples, MNIST (woolly-of-cv)",
        "the last and best of 15 epochs of one run",
        "https://github.com/woolly-of-cv/pytorch-examples/tree/HEAD/mnist",
    ),
    Record(
        9_768,
        99.6,
        "ERA V1 S6 Part 2: Training a minimal CNN (woncoh1)",
        "the best of 19 epochs of one run; 99.57 % after the last",
        "https://github.com/woncoh1/era1/tree/main/S6/P2",
    ),
)
"""The stars of the figure of accuracy against parameters, each the best run by the test set."""

INTRODUCTION = """# The sources

Written by `python -m common.report` from the zoo and the tables; do not edit.

Networks that are not this project's own keep the layers and the recipe of their source; what that leaves
open is in [zoo.md](zoo.md). *Template MNIST* is an older project of the same name, of which no public
address is known; networks of this project's own have no source. A source's claim is most often that of
one run, at its best epoch by the test set. The measurements here are means over seeds after the last
epoch (±: sample standard deviation): no epoch was chosen by the test images. The recipes are the sources'
own, and some sources chose theirs on the test images. A claim above our mean but within the range of our
runs can be a lucky run, or the best of several."""

REASONS = {
    "pytorch-model-1": "The source tests on 10,000 of the training images, held out; here all 60,000 are "
    "trained on, and the test set is tested. The runs here lie between {lowest} and {highest}.",
    "pytorch-model-1-printed": "The README of the same source prints a summary without the dense layer that "
    "its code has: {outputs:,} logits, of which only the first ten are ever a label. Those ten are the upper "
    "left of one map of 7x7 and see the upper half of a digit only. As printed the network ends at "
    "{accuracy}: the claim can only be of the network in the code, the row above.",
    "tf-model-1": "The claim is an accuracy on training images: measured here are {train_accuracy} on those "
    "of the last epoch, and {accuracy} on the test set.",
    "nextjournal": "One run of the source. The runs here lie between {lowest} and {highest}.",
    "under-5k": "One run of the source, whose last epoch is as good as its best one: no choice of an epoch "
    "explains the distance. The runs here lie between {lowest} and {highest} after the last epoch.",
    "examples-cnn": "The source, a modification of PyTorch's own example, states no accuracy. The one in the "
    "table is the mean of two runs of that example by the author of the one-epoch network below, with its "
    "batches of 64; the source has batches of 32. The example does not shuffle on a CPU; here every epoch is "
    "shuffled. The runs here lie between {lowest} and {highest}.",
    "under-8k": "The best epoch of one run, chosen on the test set. The runs here lie between {lowest} and "
    "{highest} after the last epoch.",
    "one-epoch-215k": "The only claim of a source that is a mean over many seeds. Its hyperparameters were "
    "chosen one after the other, each by the mean test accuracy of thirty seeds. The mean here is "
    "{accuracy}.",
}
"""Why claim and measurement differ, by network; braces hold what the tables have."""


def link(name: str, address: str) -> str:
    """A Markdown link, or the name alone without an address."""
    return f"[{name}]({address})" if address else name


def page(tables: Tables) -> str:
    """docs/sources.md."""
    groups = pooling.largest_groups(pooling.groups(pooling.zoo_runs(tables.runs)))
    by_name = {(group.model, group.framework): group for group in groups}
    entries = [entry for entry in ZOO.values() if entry.published]
    rows = [
        [
            *(f"`{entry.name}`", link(entry.source, entry.address), entry.claim),
            *(
                cells.accuracy(by_name[entry.name, framework], "accuracy")
                if (entry.name, framework) in by_name
                else ""
                for framework in FRAMEWORKS
            ),
        ]
        for entry in entries
    ]
    head = ["NETWORK", "SOURCE", "CLAIM", *(f"{display_name(name).upper()}" for name in FRAMEWORKS)]
    reasons = [f"- `{entry.name}`: {_reason(entry, by_name)}" for entry in entries]
    records = [
        [f"{record.parameters:,}", f"{record.accuracy:g} %", link(record.name, record.address), record.note]
        for record in RECORDS
    ]
    return (
        "\n\n".join(
            [
                INTRODUCTION,
                markdown(head, rows, right=range(3, len(head))),
                "## Why they differ",
                "\n".join(reasons),
                "## Records",
                "The stars in the figure of accuracy against parameters: networks of others, each by the run "
                "that did best on the test set. None was run here.",
                markdown(["PARAMETERS", "ACCURACY", "SOURCE", "WHAT IT IS"], records, right=(0, 1)),
            ]
        )
        + "\n"
    )


def _reason(entry: Entry, groups: Mapping[tuple[str, str], Group]) -> str:
    """The reason with its figures; without runs, a sentence that says so."""
    own = [group for (model, _), group in groups.items() if model == entry.name]
    if not own:
        return "not run yet."
    lowest = min(float(group.runs["accuracy"].min()) for group in own)
    highest = max(float(group.runs["accuracy"].max()) for group in own)
    return REASONS[entry.name].format(
        outputs=entry.spec.outputs,
        accuracy=_means(own, "accuracy"),
        train_accuracy=_means(own, "train_accuracy"),
        lowest=f"{lowest:.2f} %",
        highest=f"{highest:.2f} %",
    )


def _means(groups: list[Group], column: str) -> str:
    """`98.87 % in PyTorch and 98.86 % in TensorFlow`."""
    means = [(summary.mean, group.framework) for group in groups if (summary := group.summary(column))]
    return " and ".join(f"{mean:.2f} % in {display_name(framework)}" for mean, framework in means)
