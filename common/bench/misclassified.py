"""`bench misclassified`: print the test images that recorded runs of each framework get wrong most often."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from common.bench.arguments import add_dataset, add_folders, add_frameworks, add_models
from common.cli.arguments import number
from common.data.datasets import DataError
from common.data.source import load
from common.frameworks import display_name
from common.model.own_network import entry_of
from common.report.markdown import markdown

if TYPE_CHECKING:
    import pandas as pd

COUNT = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench misclassified`."""
    add_models(parser)
    add_frameworks(parser)
    parser.add_argument(
        "--count",
        type=number(int, 1),
        default=COUNT,
        metavar="N",
        help="number of images for each network and framework (default: %(default)s)",
    )
    add_folders(parser)
    add_dataset(parser)


def run(options: argparse.Namespace) -> int:
    """Print a table; 0, or 2 where the labels of the test images cannot be read."""
    from common.analysis import frames, misclassified, pooling

    try:
        dataset = load(options.dataset, data_dir=options.data_dir, log=print)
    except DataError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    entries = [entry for entry in map(entry_of, options.models) if entry.judged]
    tables = frames.read(options.results)
    runs = pooling.recipe_runs(tables.runs, entries, dataset=dataset.name)
    images = misclassified.misclassified_digits(tables, dataset.test.labels, runs=runs)
    print(table(images, [entry.name for entry in entries], options, dataset.classes))
    return 0


def table(
    digits: pd.DataFrame, models: list[str], options: argparse.Namespace, classes: Sequence[str]
) -> str:
    """The test images of each network and framework that most of its runs get wrong, as Markdown."""
    rows = [
        line
        for model in models
        for framework in options.frameworks
        for line in _rows(digits, model, framework, options.count, classes)
    ]
    head = ["MODEL", "FRAMEWORK", "TEST IMAGE", "LABEL", "WRONG IN", "PREDICTED"]
    return markdown(head, rows, right=(2, 3, 4)) if rows else "These networks have no recorded runs."


def _rows(
    digits: pd.DataFrame, model: str, framework: str, count: int, classes: Sequence[str]
) -> Iterator[list[str]]:
    from common.analysis.misclassified import Filter, page, select

    names = dict(enumerate(classes))  # a network can have more outputs than there are classes
    _, images = page(select(digits, Filter(model=model, framework=framework)), start=0, count=count)
    for image in images:
        predictions = image["predictions"]
        wrong, runs = sum(prediction["runs"] for prediction in predictions), predictions[0]["of"]
        predicted = ", ".join(
            f"{names.get(each['predicted'], each['predicted'])} ({each['runs']})" for each in predictions
        )
        about = [f"`{model}`", display_name(framework), str(image["index"]), classes[image["label"]]]
        yield [*about, f"{wrong} of {runs} runs", predicted]
