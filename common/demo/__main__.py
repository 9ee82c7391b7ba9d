"""`python -m common.demo`: serve a page to draw digits on, with the predictions of each framework.

It listens on 127.0.0.1 by default. A framework without a checkpoint is trained first, for one epoch.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import search_path

    search_path.leave_current_folder()
    from common.cli import ends

    ends.start("demo")

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common.cli.arguments import number
from common.cli.parent_watch import ends_with_parent
from common.cli.parser import Parser
from common.cli.paths import path
from common.cli.predict_server import checkpoint_path
from common.data.datasets import DataError, load
from common.demo.address import accepted_hosts, listen, urls
from common.demo.worker import FIRST_MODEL, PredictorProcess, without_launchers
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
        help="port to listen on, 0 for a free one (default: %(default)s)",
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
        help="tables with the results and the misclassified digits (default: results)",
    )
    add(
        "--data-dir",
        type=path,
        metavar="DIR",
        help="where the data is kept (default: the user's cache folder)",
    )
    return result


def train_first(checkpoints: Path, data_dir: Path | None) -> int:
    """Train FIRST_MODEL in each framework that has no checkpoint; the exit status.

    One that cannot train, as it is not installed, is reported, and left out if another one has a network.
    """
    statuses = {}
    for framework in FRAMEWORKS.values():
        if any(checkpoint_path(checkpoints, model, framework.name).exists() for model in ZOO):
            statuses[framework.title] = 0
            continue
        print(f"No checkpoint of {framework.title} is in {checkpoints} yet: {FIRST_MODEL} is trained first.")
        with tempfile.TemporaryDirectory() as results, ends_with_parent() as child:
            file = checkpoint_path(checkpoints, FIRST_MODEL, framework.name)
            options = ["--model", FIRST_MODEL, "--epochs", "1", "--save-model", str(file)]
            if data_dir:
                options += ["--data-dir", str(data_dir)]
            command = [*framework.command, *options, "--results", results]
            child["env"] = without_launchers(child["env"])
            statuses[framework.title] = subprocess.run(command, **child).returncode
    failed = [title for title, status in statuses.items() if status]
    if failed and len(failed) < len(statuses):
        print(f"The page is without {' and '.join(failed)}, which cannot train.", file=sys.stderr)
        return 0
    return max(statuses.values(), key=abs)


def main(words: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit status."""
    options = parser().parse_args(words)
    from common.analysis import frames, misclassified  # these and the server: not for --help
    from common.demo.app import Demo, application
    from common.demo.connection import server

    try:
        listening = listen(options.host, options.port)  # before the long work
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"demo: cannot listen on {options.host} port {options.port}: {reason}.", file=sys.stderr)
        return 2
    with listening:
        try:
            test = load("mnist", data_dir=options.data_dir, log=print).test
            tables = frames.read(options.results)
            errors = misclassified.misclassified_digits(tables, test.labels)
            status = train_first(options.checkpoints, options.data_dir)
            if status:
                return status
        except (DataError, ResultsError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 2
        workers = {framework: PredictorProcess(framework, options.checkpoints) for framework in FRAMEWORKS}
        demo = Demo(test, tables, errors, workers, options.checkpoints)
        app = application(demo, hosts=accepted_hosts(options.host))
        addresses = " or ".join(urls(options.host, listening.getsockname()[1]))
        print(f"Draw at {addresses} (Ctrl-C ends it).", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # how it ends
            server(app).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    ends.run(main)
