"""The flags of both scripts: their groups, types and help, and the flags that each mode accepts."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from common.cli.parser import Parser, choose
from common.cli.paths import path
from common.cli.trace import STEPS
from common.data import source
from common.data.batches import TEST_BATCH_SIZE
from common.data.datasets import DATASETS, TRAINING_IMAGES, DataError
from common.frameworks import FRAMEWORKS, Framework
from common.messages import last_line
from common.model.own_network import NetworkFileError, entry_of
from common.model.recipe import MAX_EPOCHS
from common.printable import printable
from common.training.backend import NATIVE_PARTS

PRECISIONS = ("float32", "bfloat16", "float64")
LOADERS = ("memory", "native")
MAX_SEED = 2**32 - 1  # NumPy's and Keras's; PyTorch accepts larger ones
MAX_SEEDS = 10_000
MAX_THREADS = 1024  # OpenMP ends the process that requests some millions
MAX_LOG_INTERVAL = 10**6
LONGEST_QUOTE = 60
BY_FLAG = {"lr": "--lr", "batch_size": "--batch-size"}
"""Fields of a recipe that have a flag of their own."""

_MODEL_FLAGS = frozenset(
    {"model", "vary", "native", "perturb", "checkpoint", "dataset", "data_dir", "validation"}
    | {"batch_size", "seed", "precision", "compile", "no_accel", "threads"}
)
MODES: dict[str, frozenset[str]] = {
    "list": frozenset(),
    "profile": _MODEL_FLAGS | {"log_interval", "epochs"},
    "trace": _MODEL_FLAGS | {"epochs", "lr", "test_batch_size"},
    "mistakes": frozenset({"model", "data_dir", "seed", "epochs", "no_accel", "threads"}),
    "defaults": frozenset(),
    "serve": frozenset({"no_accel"}),
}
"""Modes of a script, each instead of a run, by the name of its flag, with the other flags that it accepts."""


def parser(framework: str) -> Parser:
    """The command line of the script of `framework`, a name in FRAMEWORKS."""
    result = Parser(
        prog=FRAMEWORKS[framework].script,
        description="Train and test a network; the run becomes a row in results/results.csv. "
        "Settings without a flag come from the network's recipe.",
    )
    _add_data(result, FRAMEWORKS[framework])
    _add_network(result, FRAMEWORKS[framework])
    _add_run(result, FRAMEWORKS[framework])
    _add_output(result)
    _add_modes(result)
    return result


def flag(name: str) -> str:
    """`--batch-size` for the field `batch_size`."""
    return "--" + name.replace("_", "-")


def _add_data(result: argparse.ArgumentParser, framework: Framework) -> None:
    add = result.add_argument_group("data").add_argument
    add(
        "--dataset",
        metavar=f"{{{','.join(DATASETS)},FOLDER,FILE.npz}}",
        type=dataset,
        help="data set to train and test on (default: mnist), or your own: a folder of four IDX files or of "
        "images in train/LABEL/ and test/LABEL/, or an .npz file with x_train, y_train, x_test and y_test",
    )
    add(
        "--data-dir",
        metavar="DIR",
        type=path,
        help="folder of the data, filled by a download when empty (default: the user's cache folder)",
    )
    add(
        "--validation",
        metavar="N",
        type=number(int, 0, TRAINING_IMAGES - 1),
        help="hold out the last N training images and test on them instead of the test set",
    )
    add(
        "--loader",
        metavar=_braces(LOADERS),
        type=one_of(LOADERS, "a loader"),
        help="source of the batches (default: memory); native trains as most users of the framework do, "
        f"with {framework.native_loader}",
    )
    add(
        "--num-workers",
        metavar="N",
        type=number(int, 0, MAX_THREADS),
        default=0,
        help="workers of the native loader: processes in PyTorch, parallel calls in TensorFlow (default: "
        "the framework's own number)",
    )
    add(
        "--pin-memory",
        action="store_true",
        help="put the batches of PyTorch's native loader in page-locked memory",
    )


def _add_network(result: argparse.ArgumentParser, framework: Framework) -> None:
    add = result.add_argument_group("network").add_argument
    add(
        "--model",
        metavar="NAME|FILE.py[:NAME]",
        type=network,
        default=framework.default_model,
        help="network of the zoo, or of a file of your own, which is run as code (default: %(default)s; "
        "with --resume that of the checkpoint)",
    )
    add(
        "--vary",
        metavar="FIELD=VALUE",
        nargs="+",
        help="change the recipe: epochs=20, label_smoothing=0.1, schedule.warm_up=0.25, augment=none",
    )
    add(
        "--native",
        metavar="PART",
        nargs="+",
        type=one_of((*NATIVE_PARTS, "all"), "a part"),
        help="leave a part to the framework's own defaults: init, norm, optimizer, or all",
    )
    add(
        "--perturb",
        metavar=_braces(("ulp",)),
        type=one_of(("ulp",), "a perturbation"),
        help="start from weights one unit in the last place larger, to see the effect of rounding alone",
    )
    add(
        "--checkpoint",
        metavar="FILE",
        type=path,
        help="start from the weights saved in FILE; with --epochs 0 test them only",
    )


def _add_run(result: argparse.ArgumentParser, framework: Framework) -> None:
    add = result.add_argument_group("run").add_argument
    images = number(int, 1, TRAINING_IMAGES)
    add(
        "--epochs",
        metavar="N",
        type=number(int, 0, MAX_EPOCHS),
        help="total number of epochs; with fewer than the recipe's the run ends before its schedule, with "
        "more the schedule is stretched; 0 only tests",
    )
    add("--batch-size", metavar="N", type=images, help="images in a training step")
    add(
        "--test-batch-size",
        metavar="N",
        type=images,
        default=TEST_BATCH_SIZE,
        help="images in a prediction of the test (default: %(default)s)",
    )
    add(
        "--lr",
        metavar="RATE",
        type=number(float, 0, above=True),
        help="learning rate, which the schedule multiplies",
    )
    add(
        "--seed",
        metavar="N",
        type=number(int, 0, MAX_SEED),
        help="seed of the initial weights, the order of the images and their augmentation (default: 1)",
    )
    add(
        "--seeds",
        metavar="N",
        type=number(int, 1, MAX_SEEDS),
        default=1,
        help="number of runs, each with the next seed, starting at --seed (default: %(default)s)",
    )
    add(
        "--resume",
        metavar="FILE",
        type=path,
        help="continue the run saved in FILE, up to --epochs in total",
    )
    add(
        "--precision",
        metavar=_braces(PRECISIONS),
        type=one_of(PRECISIONS, "a precision"),
        help="number format of training (default: float32)",
    )
    add(
        "--compile",
        action="store_true",
        default=None,
        help=f"compile whole training steps with {framework.compiler}",
    )
    add("--no-accel", action="store_true", help="use the CPU even if there is an accelerator")
    add(
        "--threads",
        metavar="N",
        type=number(int, 1, MAX_THREADS),
        help="CPU threads (default: the first number of OMP_NUM_THREADS, else the cores that affinity and "
        "control groups allow)",
    )


def _add_output(result: argparse.ArgumentParser) -> None:
    add = result.add_argument_group("output").add_argument
    add(
        "--results",
        metavar="DIR",
        type=path,
        default=Path("results"),
        help="folder of the tables that the run is added to (default: %(default)s)",
    )
    add(
        "--save-model",
        metavar="FILE",
        type=path,
        help="save weights, optimizer state and epoch as safetensors; until the run has ended, its last "
        "whole epoch is saved beside FILE, with .last-epoch before the suffix, for --resume",
    )
    add(
        "--log-interval",
        metavar="N",
        type=number(int, 1, MAX_LOG_INTERVAL),
        default=100,
        help="training steps between two printed lines (default: %(default)s)",
    )
    add(
        "--dry-run",
        action="store_true",
        help="run one training and one test batch and write nothing",
    )


def _add_modes(result: argparse.ArgumentParser) -> None:
    group = result.add_argument_group("modes", "Do this instead of a run; they exclude each other.")
    add = group.add_mutually_exclusive_group().add_argument
    add("--list", action="store_true", help="print the networks of the zoo")
    add(
        "--profile",
        metavar="FILE",
        nargs="?",
        type=path,
        const=Path(os.devnull),
        help="time the parts of a training step; with --compile compare compiler options, with --epochs 1 a "
        "whole epoch with a bare loop of steps; write the measurements to FILE as JSON",
    )
    add(
        "--trace",
        metavar="FILE",
        type=path,
        help=f"train the first {STEPS} steps, or with --epochs 1 an epoch, with dropout masks from NumPy; "
        "write each loss, and the accuracy after the epoch, to FILE as JSON",
    )
    add(
        "--mistakes",
        metavar="FILE",
        type=path,
        help="train the network right, and with each classical mistake of a port that is at home in the "
        "framework; write accuracies, and what a forward check finds, to FILE as JSON",
    )
    add(
        "--defaults",
        metavar="FILE",
        nargs="?",
        type=path,
        const=Path(os.devnull),
        help="print the framework's own defaults, read from the installed library, and write them to FILE as "
        "JSON",
    )
    add(
        "--serve",
        metavar="DIR",
        type=path,
        help="predict for common.demo with the checkpoints in DIR: lines of JSON in, lines of JSON out",
    )


def number(kind: type, low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], Any]:
    """A parser of finite numbers from `low` (excluded if `above`) to `high`, whose errors name the range."""
    limits = f"{'above' if above else 'of at least'} {low:,}" + (
        f" and at most {high:,}" if high < math.inf else ""
    )

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        # Comparisons, as a whole number may be too large to become a float; nan fails them.
        if not (low <= value <= high and value != math.inf and not (above and value == low)):
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{shortened(text)} is not {noun} {limits}.")
        return value

    return parse


def shortened(text: str) -> str:
    """A word of the command line for an error of one line: its first characters, without control codes."""
    visible = "".join(letter if letter.isprintable() else "?" for letter in text)
    return visible if len(visible) <= LONGEST_QUOTE else f"{visible[:LONGEST_QUOTE]}..."


def one_of(names: Collection[str], noun: str) -> Callable[[str], str]:
    """A parser of one of `names`, whose errors suggest the nearest one: `fashion is not a data set ...`."""

    def parse(text: str) -> str:
        if text in names:
            return text
        raise argparse.ArgumentTypeError(f"{shortened(text)} is not {noun}; {choose(text, names)}")

    return parse


def network(text: str) -> str:
    """A name in the zoo, or the address of a network in a user's file, which is run."""
    try:
        entry_of(text)
    except NetworkFileError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except Exception as error:  # of an object in the file; argparse leaves out a ValueError's reason
        raise argparse.ArgumentTypeError(f"{shortened(text)}: {last_line(error).rstrip('.')}.") from None
    return text


def dataset(text: str) -> str:
    """A data set of DATASETS, or a path of a user's own data, as `source.load` accepts it."""
    if text in DATASETS:
        return text
    if not text:
        raise argparse.ArgumentTypeError("an empty text is no path.")
    try:
        source.find(text)
    except DataError as error:
        if "/" in text or os.sep in text or Path(text).suffix or os.path.exists(text):
            raise argparse.ArgumentTypeError(printable(str(error))) from None
        return one_of((*DATASETS, "FOLDER", "FILE.npz"), "a data set")(text)
    return text


def _braces(names: Collection[str]) -> str:
    return "{" + ",".join(names) + "}"
