"""`python -m common.port PYTORCH_FILE.py:NAME KERAS_FILE.py:NAME`: find where two models part, and why.

The files are your own code and are run, in two processes, one for each framework. The exit status is 0 if
the models agree but for what no setting can make equal, 1 if they differ, 2 for bad input.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import search_path

    search_path.leave_current_folder()
    from common.cli import ends

    ends.start("port")

import zipfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.cli.arguments import number
from common.cli.parser import Parser
from common.cli.paths import OutputError, output_error, path, write_json
from common.messages import InputError
from common.port import table
from common.port.check import Question, side_of
from common.port.run import compare
from common.port.workers import WorkerError, Workers
from common.printable import printable
from common.user_file import require, split_address


def parser() -> Parser:
    """The command line."""
    result = Parser(
        prog="python -m common.port",
        description="Compare a PyTorch and a Keras model stage by stage, and name the cause of each "
        "difference. Both files are run, in two processes, one for each framework: they are your own code.",
    )
    add = result.add_argument
    add("left", metavar="FILE.py:NAME", help="a class or function that returns an nn.Module")
    add(
        "right",
        metavar="FILE.py:NAME | FILE.keras",
        help="a function that returns a keras.Model, or a saved one",
    )
    add(
        "--weights",
        nargs="+",
        default=(),
        metavar="FILE",
        help="weights for either side, the other gets the same: .pt, .pth (a state_dict) or .safetensors for "
        "PyTorch, .keras or .weights.h5 for Keras; with one of each, they are compared (default: PyTorch's "
        "initial weights)",
    )
    add(
        "--batch",
        type=path,
        metavar="FILE.npz",
        help="x (N, C, H, W) or (N, H, W, C), and y (default: random ones of the declared shape)",
    )
    add("--steps", type=number(int, 1, 100), default=5, metavar="N", help="steps of training (default: 5)")
    add(
        "--precision",
        nargs="+",
        choices=("float64", "float32"),
        default=("float64", "float32"),
        help="number formats, one after the other (default: float64 float32)",
    )
    add("--seed", type=number(int, 0, 2**31 - 1), default=1, metavar="N", help="of the batch and the weights")
    add("--json", type=path, metavar="FILE", help="write findings and comparisons to FILE")
    add("--plot", type=path, metavar="FILE.png", help="draw the difference at each layer, with the floor")
    add("--verbose", action="store_true", help="show what the two processes print")
    return result


def question(options: Namespace) -> Question:
    """The question that the command line asks. Raises InputError."""
    for address in (options.left, options.right):  # before two frameworks are imported for nothing
        keras_file = address == options.right and address.endswith(".keras")
        require(Path(address) if keras_file else split_address(address)[0])
    for file in options.weights:
        side_of(file)
    x, y = (None, None) if options.batch is None else _batch(options.batch)
    return Question(
        left=options.left,
        right=options.right,
        weights=tuple(options.weights),
        x=x,
        y=y,
        steps=options.steps,
        precisions=tuple(sorted(options.precision, reverse=True)),
        seed=options.seed,
    )


def _batch(file: Path) -> tuple[Any, Any]:
    """x and, if it is there, y. Raises InputError."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if "x" not in arrays:
                raise InputError(f"{file} has no array x; it has {', '.join(arrays) or 'none'}.")
            x, y = arrays["x"], arrays.get("y")
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file} is no .npz file of arrays: {reason}.") from None
    if x.ndim < 2 or len(x) < 2:
        raise InputError(f"x in {file} has the shape {list(x.shape)}: it needs at least 2 examples.")
    if y is not None and len(y) != len(x):
        raise InputError(f"{file} has {len(x)} examples in x and {len(y)} in y.")
    return x, y


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; its exit status."""
    commands = parser()
    options = commands.parse_args(words)
    for file in filter(None, [options.json, options.plot]):
        if reason := output_error(file):
            commands.error(reason)
    try:
        wanted = question(options)
        with Workers(loud=options.verbose) as workers:
            report = compare(workers, wanted)
        if options.json:
            write_json(options.json, table.as_json(report))
        if options.plot:
            from common.port import plot  # a second that nobody else need wait for

            try:
                plot.save(report, options.plot)
            except OSError as error:
                raise OutputError(f"{options.plot} cannot be written: {error.strerror or error}.") from None
    except (InputError, WorkerError, OutputError) as error:
        commands.error(printable(str(error)))
    print(table.text(report))
    return 0 if report.agree else 1


if __name__ == "__main__":
    ends.run(main)
