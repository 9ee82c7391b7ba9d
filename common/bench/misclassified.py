"""`bench misclassified`: print the test images that recorded runs of each framework get wrong most often."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.bench.arguments import add_folders, add_frameworks, add_models
from common.cli.arguments import number
from common.data.datasets import DataError, load
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


def run(options: argparse.Namespace) -> int:
    """Print a table; 0, or 2 where the labels of the test images cannot be read."""
    from common.analysis import frames, misclassified

    try:
        labels = load("mnist", data_dir=options.data_dir, log=print).test.labels
    except DataError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    digits = misclassified.misclassified_digits(frames.read(options.results), labels)
    models = [entry_of(model).name for model in options.models]
    print(table(digits, models, options.frameworks, options.count))
    return 0


def table(digits: pd.DataFrame, models: list[str], frameworks: list[str], count: int) -> str:
    """The `count` test images of each network and framework that most of its runs get wrong, as Markdown."""
    rows = [
        line
        for model in models
        for framework in frameworks
        for line in _rows(digits, model, framework, count)
    ]
    head = ["MODEL", "FRAMEWORK", "TEST IMAGE", "LABEL", "WRONG IN", "PREDICTED"]
    return markdown(head, rows, right=(2, 3, 4)) if rows else "These networks have no recorded runs."


def _rows(digits: pd.DataFrame, model: str, framework: str, count: int) -> Iterator[list[str]]:
    from common.analysis.misclassified import Filter, page, select

    _, images = page(select(digits, Filter(model=model, framework=framework)), start=0, count=count)
    for image in images:
        predictions = image["predictions"]
        wrong, runs = sum(prediction["runs"] for prediction in predictions), predictions[0]["of"]
        predicted = ", ".join(f"{each['predicted']} ({each['runs']})" for each in predictions)
        about = [f"`{model}`", display_name(framework), str(image["index"]), str(image["label"])]
        yield [*about, f"{wrong} of {runs} runs", predicted]
