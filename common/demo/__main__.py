"""`python -m common.demo`: serve a page to draw digits on, with the predictions of each framework.

It listens on 127.0.0.1 by default. A framework without a checkpoint is trained first, for one epoch.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import ends

    ends.start("demo")

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from common.analysis import frames, misclassified
from common.cli.arguments import number
from common.cli.parser import Parser
from common.cli.paths import path
from common.cli.predict_server import checkpoint_path
from common.data.datasets import DataError, load
from common.demo.app import FIRST_MODEL, Demo, application
from common.demo.worker import PredictorProcess
from common.frameworks import FRAMEWORKS, ROOT
from common.model.zoo import ZOO
from common.tables.store import ResultsError


def parser() -> Parser:
    """The command line of the demo."""
    result = Parser(
        prog="python -m common.demo",
        description="Draw a digit in the browser and see what each framework predicts.",
    )
    add = result.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s: this machine alone)")
    add(
        "--port",
        type=number(int, 0, 65535),
        default=8000,
        help="port to listen on (default: %(default)s)",
    )
    add(
        "--checkpoints",
        type=path,
        default=ROOT / "checkpoints",
        metavar="DIR",
        help="trained networks (default: checkpoints)",
    )
    add(
        "--results",
        type=path,
        default=ROOT / "results",
        metavar="DIR",
        help="tables with the misclassified digits (default: results)",
    )
    add(
        "--data-dir",
        type=path,
        metavar="DIR",
        help="where the data is kept (default: the user's cache folder)",
    )
    return result


def train_first(checkpoints: Path) -> int:
    """Train FIRST_MODEL in each framework that has no checkpoint; the exit status, not 0 after a failure."""
    for framework in FRAMEWORKS.values():
        if any(checkpoint_path(checkpoints, model, framework.name).exists() for model in ZOO):
            continue
        print(f"No checkpoint of {framework.title} is in {checkpoints} yet: {FIRST_MODEL} is trained first.")
        with tempfile.TemporaryDirectory() as results:
            file = checkpoint_path(checkpoints, FIRST_MODEL, framework.name)
            options = ["--model", FIRST_MODEL, "--epochs", "1", "--save-model", str(file)]
            finished = subprocess.run([*framework.command, *options, "--results", results])
        if finished.returncode:
            return finished.returncode
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit status."""
    options = parser().parse_args(words)
    try:
        status = train_first(options.checkpoints)
        if status:
            return status
        test = load("mnist", data_dir=options.data_dir, log=print).test
        errors = misclassified.misclassified_digits(frames.read(options.results), test.labels)
    except (DataError, ResultsError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    workers = {framework: PredictorProcess(framework, options.checkpoints) for framework in FRAMEWORKS}
    app = application(
        Demo(test, errors, workers, options.checkpoints), hosts=["127.0.0.1", "localhost", options.host]
    )
    print(f"Draw at http://{options.host}:{options.port}/ (Ctrl-C ends it).", flush=True)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
    return 0


if __name__ == "__main__":
    ends.run(main)
