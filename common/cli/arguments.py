"""The flags both scripts share, what each takes, and how a wrong one is told: in one line.

What depends on a network or on another flag is checked by `common.cli.main`.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from common.cli.trace import STEPS
from common.data.datasets import DATASETS
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.training.backend import NATIVE_PARTS

PRECISIONS = ("float32", "bfloat16", "float64")
LOADERS = ("memory", "native")
TRAINING_IMAGES = 60_000
BY_FLAG = {"lr": "--lr", "batch_size": "--batch-size"}  # fields of a recipe with a flag of their own


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parser(framework: str) -> argparse.ArgumentParser:
    """The command line of the script of `framework`, a name in FRAMEWORKS."""
    result = _Parser(
        prog=FRAMEWORKS[framework].script,
        description="Train and test a network of the zoo; the run becomes a row in results/results.csv. "
        "What is not set comes from the network's recipe.",
    )
    add = result.add_argument
    images = number(int, 1, TRAINING_IMAGES)
    model = FRAMEWORKS[framework].default_model
    add(
        "--model",
        metavar="NAME",
        type=_model,
        default=model,
        help="network of the zoo (default: %(default)s)",
    )
    add("--list", action="store_true", help="show the zoo and stop")
    add("--dataset", choices=tuple(DATASETS), help="(default: mnist)")
    add("--batch-size", metavar="N", type=images, help="images in a training step")
    add("--test-batch-size", metavar="N", type=images, default=1000, help="(default: %(default)s)")
    add(
        "--epochs",
        metavar="N",
        type=number(int, 0),
        help="epochs in all; fewer than the recipe's stop its schedule early, more stretch it; 0 only tests",
    )
    add("--lr", metavar="RATE", type=number(float, 0, above=True), help="learning rate, the schedule's unit")
    add("--seed", metavar="N", type=number(int, 0), help="of weights, order and pixels (default: 1)")
    add(
        "--seeds",
        metavar="N",
        type=number(int, 1),
        default=1,
        help="run N seeds from --seed on (default: 1)",
    )
    add(
        "--log-interval",
        metavar="N",
        type=number(int, 1),
        default=100,
        help="steps between lines (default: 100)",
    )
    add("--no-accel", action="store_true", help="stay on the CPU where there is an accelerator")
    add("--threads", metavar="N", type=number(int, 1), help="(default: all cores)")
    add("--precision", choices=PRECISIONS, help="(default: float32)")
    add(
        "--native",
        metavar="PART",
        nargs="+",
        choices=(*NATIVE_PARTS, "all"),
        help="leave a part to the framework's own defaults: init, norm, optimizer, or all",
    )
    add(
        "--vary",
        metavar="FIELD=VALUE",
        nargs="+",
        help="change the recipe: epochs=20, label_smoothing=0.1, schedule.warm_up=0.25, augment=none",
    )
    add(
        "--perturb",
        choices=("ulp",),
        help="start from weights one unit in the last place larger: what rounding alone does to a run",
    )
    add(
        "--compile",
        action="store_true",
        default=None,
        help=f"compile the network with {FRAMEWORKS[framework].compiler}",
    )
    add(
        "--loader",
        choices=LOADERS,
        help="where batches come from (default: memory); native trains as most users of the framework do, "
        f"with {FRAMEWORKS[framework].native_loader}",
    )
    add(
        "--num-workers",
        metavar="N",
        type=number(int, 0),
        default=0,
        help="of the native loader: processes in PyTorch, parallel calls in TensorFlow (default: its own)",
    )
    add("--pin-memory", action="store_true", help="of PyTorch's native loader: batches in page-locked memory")
    add(
        "--validation",
        metavar="N",
        type=number(int, 0, TRAINING_IMAGES - 1),
        help="hold out the last N training images and test on them instead of the test set",
    )
    add("--save-model", metavar="FILE", type=Path, help="save weights, optimizer and epoch as safetensors")
    add("--checkpoint", metavar="FILE", type=Path, help="start from its weights; --epochs 0 only tests them")
    add("--resume", metavar="FILE", type=Path, help="go on with the run saved there, up to --epochs in all")
    add(
        "--profile",
        metavar="FILE",
        nargs="?",
        type=Path,
        const=Path(os.devnull),
        help="time the network part by part instead of training it, or with --compile its options; FILE gets "
        "the figures as JSON",
    )
    add(
        "--trace",
        metavar="FILE",
        type=Path,
        help=f"take only the first {STEPS} steps, or with --epochs 1 an epoch, dropout masks from NumPy; "
        "FILE gets each loss, and the accuracy after the epoch, as JSON",
    )
    add(
        "--defaults",
        metavar="FILE",
        nargs="?",
        type=Path,
        const=Path(os.devnull),
        help="show the framework's own defaults, read from the installed library, and stop; FILE gets them "
        "as JSON",
    )
    add(
        "--serve",
        metavar="DIR",
        type=Path,
        help="predict for common.demo with the checkpoints in DIR: lines of JSON in, lines of JSON out",
    )
    add("--dry-run", action="store_true", help="one training and one test batch; writes nothing")
    add(
        "--data-dir",
        metavar="DIR",
        type=Path,
        help="where the data is kept (default: the user's cache folder)",
    )
    add("--results", metavar="DIR", type=Path, default=Path("results"), help="(default: %(default)s)")
    return result


def number(kind: type, low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], Any]:
    """A parser of finite numbers from `low` (`above` it, if so) to `high`, whose errors name the range."""
    range_ = f"{'above' if above else 'of at least'} {low:,}" + (
        f" and at most {high:,}" if high < math.inf else ""
    )

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high and not (above and value == low)):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text} is not {what} {range_}.")
        return value

    return parse


def _model(name: str) -> str:
    if name not in ZOO:
        raise argparse.ArgumentTypeError(f"{name} is not in the zoo, which has {', '.join(ZOO)}.")
    return name
