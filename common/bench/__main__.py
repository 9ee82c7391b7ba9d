"""`python -m common.bench`: many runs, and measurements of several networks, recorded in the tables.

Each subcommand is a module of this package with `add_arguments(parser)` and `run(options)`, which returns the
exit status. Options without a subcommand are those of `run`.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports, so that Ctrl-C during them is one line too
    from common.cli import search_path

    search_path.leave_current_folder()
    from common.cli import ends

    ends.start("bench")

import importlib
import sys
from collections.abc import Sequence

from common.bench.arguments import UsageError
from common.checked import RecipeError
from common.cli.parser import Parser
from common.data.datasets import DataError
from common.tables.store import ResultsError

SUBCOMMANDS = {
    "run": "run network x framework x seed where the tables have no row yet (the default)",
    "compare": "train one network, your own or one of the zoo, in both frameworks and print the verdict",
    "speed": "measure times: steps, their parts, loaders, time to an accuracy, start-up",
    "ablation": "run a network with one part after the other left to each framework's own defaults",
    "traces": "record the losses of first steps in double and single precision, and first epochs over seeds",
    "aa": "measure an epoch in each framework and against itself (A/A), to show where the clock is steady",
    "defaults": "record what each installed framework does by default",
    "scaling": "measure the same short tasks with one worker and with two",
    "mistakes": "train with each classical mistake of a port, and without, and record what it costs",
    "ports": "compare networks with planted mistakes by common.port, and record what it finds",
    "misclassified": "print the test images that the recorded runs get wrong most often",
}


def main(words: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status: 0, 1 if something failed, 2 for bad input, 130 on Ctrl-C."""
    words = list(sys.argv[1:] if words is None else words)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "run")
    parser = Parser(prog="python -m common.bench", description=(__doc__ or "").split("\n\n")[0])
    parsers = parser.add_subparsers(
        dest="subcommand", required=True, metavar="SUBCOMMAND", description="each has its own --help"
    )
    for name, purpose in SUBCOMMANDS.items():
        # No abbreviations: --seed N, an option of the scripts, is not --seeds N.
        subparser = parsers.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        if name == words[0]:
            chosen, module = subparser, importlib.import_module(f"common.bench.{name}")
            module.add_arguments(subparser)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        chosen.refuse(unknown)
    try:
        return int(module.run(options))
    except (UsageError, RecipeError) as error:
        chosen.error(str(error))
    except (DataError, ResultsError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        file = getattr(options, "results", "a file") if error.filename is None else error.filename
        print(f"bench: {file} cannot be used: {error.strerror or error}.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    ends.run(main)
