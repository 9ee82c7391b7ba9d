"""A framework's own defaults, read from the installed library and from how it behaves.

Constants come from the signatures of the framework's own parts. Formulas come from trying these parts on
numbers for which the candidate formulas have different results. No manual is quoted; a new version is
compared with the snapshot in results/defaults.csv.
"""

from __future__ import annotations

import inspect
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.training.backend import DefaultsProbe

Array = NDArray[Any]

CONSTANTS = (
    *("lr", "learning_rate", "momentum", "nesterov", "betas", "beta_1", "beta_2", "rho"),
    *("eps", "epsilon", "weight_decay"),
)
"""Parameters of signatures that are reported."""

FAN_IN, FAN_OUT = 400, 100
BOUNDS = {
    "1/sqrt(fan_in)": 1 / math.sqrt(FAN_IN),
    "sqrt(3/fan_in)": math.sqrt(3 / FAN_IN),
    "sqrt(6/fan_in)": math.sqrt(6 / FAN_IN),
    "sqrt(6/(fan_in + fan_out))": math.sqrt(6 / (FAN_IN + FAN_OUT)),
}
"""Bounds, plus and minus, of uniform initial weights: PyTorch's, LeCun's, He's and Glorot's."""

SIDE, CHANNELS, EXAMPLES = 4, 7, 100
TOLERANCE = 1e-6  # relative; some parts compute in single precision


def read_defaults(probe: DefaultsProbe) -> dict[str, str]:
    """Every default in words and numbers, by its name in defaults.csv."""
    kernel, bias = probe.initial_dense(FAN_IN, FAN_OUT)
    # The running mean starts at 0, so of a batch whose mean is 1 it takes over its weight.
    weight, variance = probe.batch_norm_statistics(np.array([0.0, 2.0]))
    layout = _layout(probe)
    optimizers = {optimizer.__name__: optimizer for optimizer in probe.optimizers}
    return {
        "kernel of a dense layer": _initial(kernel),
        "bias of a dense layer": _initial(bias),
        "BatchNorm": constants(probe.batch_norm),
        "BatchNorm: weight of the new batch": f"{weight:.4g}",
        "BatchNorm: running variance": _variance(weight, variance),
        **{name: constants(optimizer) for name, optimizer in optimizers.items()},
        "Adam: epsilon": _epsilon(probe, optimizers["Adam"]),
        "SGD: momentum": _velocity(probe, optimizers["SGD"]),
        "SGD: weight decay": _decay(probe, optimizers["SGD"], momentum=0.9),
        "Adam: weight decay": _decay(probe, optimizers["Adam"]),
        "layout of images": layout,
        "same padding with a stride": _same_padding(probe, layout),
        "dropout of whole channels": probe.channel_dropout.__name__,
        "usual loader": _loader(probe),
        "OMP_NUM_THREADS": _threads(probe),
        "compilation": {True: "on", False: "off"}.get(probe.compiles_by_default(), "left open"),
        f"parameters of BatchNorm on {CHANNELS} channels": _counted(probe),
    }


def constants(part: Callable[..., object]) -> str:
    """Defaults of the parameters of `part` that are in CONSTANTS, as `lr=0.001, eps=1e-08`."""
    parameters = inspect.signature(part).parameters
    return ", ".join(f"{name}={parameters[name].default}" for name in parameters if name in CONSTANTS)


def _initial(values: Array) -> str:
    """The distribution of initial values, by their largest and their spread."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return "zeros"
    # Of few values the largest can be some way below its bound; the spread separates uniform from normal.
    near = {name: bound for name, bound in BOUNDS.items() if 0.9 * bound < largest <= bound * (1 + TOLERANCE)}
    for name, bound in near.items():
        if abs(float(values.std()) * math.sqrt(3) / bound - 1) < 0.15:
            return f"uniform, ±{name}"
    return f"other, within ±{largest:.3g}"


def _variance(weight: float, variance: float) -> str:
    """Biased or unbiased, from the running variance, which starts at 1, after a batch of 0 and 2.

    Their biased variance is 1, the unbiased 2.
    """
    return _which((variance - 1) / weight + 1, {"biased": 1.0, "unbiased": 2.0}, within=1e-3)


def _epsilon(probe: DefaultsProbe, adam: type) -> str:
    """Whether Adam adds epsilon after or before the bias correction, from a step with a gradient g = epsilon.

    The step is g / (|g| + epsilon) or g / (|g| + epsilon / sqrt(1 - beta2)).
    """
    parameters = inspect.signature(adam).parameters
    eps = next(parameters[name].default for name in ("eps", "epsilon") if name in parameters)
    beta2 = parameters["beta_2"].default if "beta_2" in parameters else parameters["betas"].default[1]
    (after,) = probe.optimizer_trajectory(adam, 0.0, [eps], [1.0])
    before = eps / math.sqrt(1 - beta2)
    return _which(
        -after,
        {
            "added after the bias correction": eps / (eps + eps),
            "added before the bias correction": eps / (eps + before),
        },
        within=1e-3,
    )


def _velocity(probe: DefaultsProbe, sgd: type) -> str:
    """Whether the learning rate is inside the velocity, from two steps: gradient 1 then 0, rate 1 then 3."""
    first, second = probe.optimizer_trajectory(sgd, 0.0, [1.0, 0.0], [1.0, 3.0], momentum=0.5)
    return _which(
        second - first,
        {"learning rate outside the velocity": -1.5, "learning rate inside the velocity": -0.5},
    )


def _decay(probe: DefaultsProbe, optimizer: type, **extra: float) -> str:
    """Whether weight decay is part of the gradient (and so of momentum and moments), from two steps without
    any other gradient."""
    rate, decay, start = 0.1, 0.5, 2.0
    decayed = probe.optimizer_trajectory(
        optimizer, start, [0.0, 0.0], [rate, rate], weight_decay=decay, **extra
    )
    gradients = [decay * start, decay * decayed[0]]
    coupled = probe.optimizer_trajectory(optimizer, start, gradients, [rate, rate], **extra)
    shrunk = start * (1 - rate * decay) ** 2
    return _which(decayed[1], {"coupled (L2 in the gradient)": coupled[1], "decoupled": shrunk})


def _layout(probe: DefaultsProbe) -> str:
    """The axis of the channels in a convolution's output."""
    shape = probe.convolution(np.zeros((1, SIDE, SIDE, SIDE)), CHANNELS).shape
    return {1: "channels first (NCHW)", 3: "channels last (NHWC)"}[shape.index(CHANNELS)]


def _same_padding(probe: DefaultsProbe, layout: str) -> str:
    """The sides that are padded: a sum of ones over an even image is less in a padded corner."""
    first = layout.startswith("channels first")
    images = np.ones((1, 1, SIDE, SIDE) if first else (1, SIDE, SIDE, 1))
    try:
        sums = probe.convolution(images, 1, stride=2, padding="same").squeeze()
    except ValueError as error:
        return f"refused: {str(error).splitlines()[0]}"
    first_corner, last_corner = float(sums[0, 0]), float(sums[-1, -1])
    if first_corner == last_corner:
        return "on all sides"
    return "at the bottom and right" if first_corner > last_corner else "at the top and left"


def _loader(probe: DefaultsProbe) -> str:
    """Batch size and order of the usual loader."""
    batches = probe.loader_batches(EXAMPLES)
    order = [index for batch in batches for index in batch]
    return f"batches of {len(batches[0])}, {'in order' if order == sorted(order) else 'shuffled'}"


def _threads(probe: DefaultsProbe) -> str:
    """Whether OMP_NUM_THREADS has an effect, in new processes: a library reads it when it starts."""

    def printed_threads(count: int) -> str:
        words = [sys.executable, "-c", probe.threads_program]
        variables = {**os.environ, "OMP_NUM_THREADS": str(count)}
        return subprocess.run(words, env=variables, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor() as pool:
        with_one, with_three = pool.map(printed_threads, (1, 3))
    return "ignored" if with_one == with_three else "obeyed"


def _counted(probe: DefaultsProbe) -> str:
    """The framework's count of BatchNorm's parameters, with or without running statistics."""
    count = probe.batch_norm_parameters(CHANNELS)
    words = {2 * CHANNELS: "without running statistics", 4 * CHANNELS: "with running statistics"}
    return f"{count}, {words.get(count, 'neither with nor without running statistics')}"


def _which(value: float, candidates: Mapping[str, float], *, within: float = TOLERANCE) -> str:
    """The name of the candidate that `value` equals within a relative difference; else the value itself."""
    for name, candidate in candidates.items():
        if math.isclose(value, candidate, rel_tol=within):
            return name
    return f"other: {value:.6g}"
