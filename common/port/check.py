"""One comparison of two models: what was given, what is mended so far, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.messages import InputError
from common.port import causes, pairing
from common.port.losses import FORMS, encoded
from common.port.pairing import Names, Step, Trace
from common.port.updates import Rule
from common.port.workers import Workers
from common.user_file import require

Array = NDArray[Any]

REVISION = 3
"""Raised when what the check finds of planted mistakes changes: `bench ports` measures each revision anew."""

MARGIN = {"float64": 1000.0, "float32": 16.0}
"""A difference counts beyond so many times the floor. The two sum in other orders, which moves of the weights
do not show; in double precision what is written differently is still far beyond it."""

DRAWS = (1, 2)
"""Seeds of the random moves of the weights by one unit in the last place."""

ROUNDED = "agrees but for a rounded constant"
"""The verdict where a framework keeps a constant in single precision, and nothing else differs."""

STAGES = ("weights", "forward", "statistics", "loss", "gradient", "optimizer", "training")
EPSILON = {"float32": float(np.finfo(np.float32).eps), "float64": float(np.finfo(np.float64).eps)}


@dataclass(frozen=True, kw_only=True)
class Question:
    """Comparison to make. `left` is FILE.py:NAME, `right` the same or a .keras file; `weights` are files for
    either side, told apart by their suffixes; `x`, (N, C, H, W), (N, H, W, C) or (N, F), and `y` are the
    batch."""

    left: str
    right: str
    weights: Sequence[str] = ()
    x: Array | None = None
    y: Array | None = None
    steps: int = 5
    precisions: Sequence[str] = ("float64", "float32")
    seed: int = 1
    batch_size: int = 24


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A difference beyond the floor, and what causes it."""

    stage: str
    where: str
    cause: str
    difference: float
    floor: float
    fix: Mapping[str, str] = field(default_factory=lambda: causes.both("", ""))
    precision: str = "float64"

    @property
    def inherent(self) -> bool:
        """Whether no setting of either side makes the two equal."""
        return self.cause in causes.INHERENT


@dataclass(frozen=True, kw_only=True)
class Row:
    """A comparison: the difference relative to the largest value, the floor, and `agrees`, `differs` or
    ROUNDED."""

    stage: str
    precision: str
    where: str
    difference: float
    floor: float
    verdict: str


@dataclass
class Report:
    """All findings and comparisons, in order."""

    findings: list[Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # stage: the reason
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def agree(self) -> bool:
        """Whether the two are the same but for what is inherent."""
        return all(finding.inherent for finding in self.findings)


@dataclass
class Mends:
    """Findings so far, which the stages and precisions that follow take for mended.

    `right` are changes of the Keras model (backends/tensorflow/port/mend.py), `left_skips` operations of the
    PyTorch model that become the identity, `left_heads` those that do but for its own loss. `heads` has the
    function at the end of a side, `standard` the loss and `rule` the update rule that stand in for both;
    `unknown` are the stages with a difference that nothing explains.
    """

    right: list[dict[str, Any]] = field(default_factory=list)
    left_skips: list[int] = field(default_factory=list)
    left_heads: list[int] = field(default_factory=list)
    heads: dict[int, str] = field(default_factory=dict)
    standard: dict[str, Any] | None = None
    rule: Rule | None = None
    unknown: set[str] = field(default_factory=set)

    def copied(self) -> Mends:
        """The same, to which more can be added."""
        return Mends(**{name: copy(value) for name, value in vars(self).items()})


class Check:
    """Two loaded models with the same weights and batch, and the mends of what was explained."""

    def __init__(
        self,
        workers: Workers,
        question: Question,
        precision: str,
        report: Report,
        *,
        before: Check | None = None,
    ) -> None:
        """With the mends of the check `before`, in another precision."""
        self.workers, self.question, self.precision, self.report = workers, question, precision, report
        self.epsilon = EPSILON[precision]
        self.before = before
        self.mends: Mends = Mends() if before is None else before.mends.copied()
        self.frozen: tuple[set[str], set[str]] = (set(), set())
        self.steps: list[Step] = []
        self.names = Names()
        self.flats: dict[pairing.Flat, bool] = {}
        self.doubles: dict[object, Array] = {}
        self.outputs: Array = np.zeros(0)  # of the PyTorch model, the first if there are several
        self.channels_moved = False  # whether the Keras model's outputs are maps with channels last
        self.single = True
        self.y: Array = np.zeros(0) if before is None else before.y
        self.forms = FORMS[0], FORMS[0]
        self.trained: list[str] = []
        self.factors: list[float] = []

    def load(self) -> None:
        """Load both models and the batch. Raises InputError."""
        question = self.question
        files = [side_of(file) for file in question.weights]
        if len({side for side, _ in files}) < len(files):
            raise InputError(f"--weights has two files of one side: {', '.join(question.weights)}.")
        given = dict(files)
        common = {"precision": self.precision, "seed": question.seed}
        loaded = self.workers.both(
            "load",
            left={"address": question.left, "weights_file": given.get("left"), **common},
            right={"address": question.right, "weights_file": given.get("right"), **common},
        )
        self.has_loss = bool(loaded[0]["loss"]), bool(loaded[1]["loss"])
        self.has_optimizer = bool(loaded[0]["optimizer"]), bool(loaded[1]["optimizer"])
        self.own_weights = "left" in given and ("right" in given or question.right.endswith(".keras"))
        self.carry_left = "right" in given and "left" not in given
        x = self._inputs(loaded[0]["input_shape"], loaded[1]["input_shape"])
        self.x = x
        self.workers.both("batch", left={"x": x}, right={"x": x})

    def _inputs(self, left: Sequence[int] | None, right: Sequence[int] | None) -> Array:
        """The batch with the channels first: the given one, or random values of the declared shape."""
        x = self.question.x
        if x is None:
            if right is None and left is None:
                raise InputError(
                    "Neither model declares the shape of its inputs: give a --batch, or write input_shape = "
                    "(28, 28, 1) in the Keras file."
                )
            shape = right if right is not None else _channels_last(left or ())
            generator = np.random.default_rng(self.question.seed)
            x = generator.normal(size=(self.question.batch_size, *shape)).astype(np.float32)
        elif right is not None and list(x.shape[1:]) != list(right):
            moved = np.moveaxis(x, 1, -1) if x.ndim > 2 else x
            if list(moved.shape[1:]) != list(right):
                raise InputError(
                    f"The batch {list(x.shape)} does not fit: the Keras model declares inputs of "
                    f"{list(right)}."
                )
            x = moved
        elif right is None and x.ndim == 4 and x.shape[1] <= 4 < x.shape[-1]:
            x = np.moveaxis(x, 1, -1)
        return np.moveaxis(x, -1, 1) if x.ndim > 2 else x

    def mend(self) -> None:
        """Tell both sides what is mended so far."""
        self.workers.both(
            "mend",
            left={"skipped": self.mends.left_skips, "heads": self.mends.left_heads},
            right={"mends": self.mends.right},
        )

    def labels(self, side: int) -> Array:
        """The labels as the loss of a side takes them."""
        form = self.forms[side] if self.mends.standard is None else FORMS[0]
        return self.of_side(side, encoded(self.y, self.outputs, form))

    def of_side(self, side: int, array: Array) -> Array:
        """Outputs, or labels of their shape, in a side's own layout: maps have channels last in Keras."""
        moved = side == 1 and self.channels_moved and array.shape[1:] == self.outputs.shape[1:]
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if moved else array

    def rounding(self, key: object, array: Array) -> float:
        """Distance of one side's array from its own in double precision, if that was computed before."""
        if self.precision == "float64":
            self.doubles[key] = array
        elif self.before is not None and key in self.before.doubles:
            return pairing.difference(array, self.before.doubles[key])
        return 0.0

    def traces(self, *, ulp: int | None = None) -> tuple[Trace, Trace]:
        """Traces of what both do with the batch in inference mode."""
        arguments: dict[str, Any] = {"ulp": ulp}
        answers = self.workers.both("trace", left=arguments, right=arguments)
        return pairing.trace(answers[0]), pairing.trace(answers[1])

    def row(
        self, stage: str, where: str, difference: float, floor: float, verdict: str | None = None
    ) -> bool:
        """Record a comparison; whether the difference is beyond the floor."""
        beyond = self.beyond(difference, floor)
        self.report.rows.append(
            Row(
                stage=stage,
                precision=self.precision,
                where=where,
                difference=difference,
                floor=floor,
                verdict=verdict or ("differs" if beyond else "agrees"),
            )
        )
        return beyond

    def beyond(self, difference: float, floor: float) -> bool:
        """Whether a difference is more than rounding."""
        return not difference <= MARGIN[self.precision] * max(floor, self.epsilon)

    def find(self, stage: str, where: str, cause: str, difference: float, floor: float, fix: Any) -> None:
        """Record a finding, once for all precisions."""
        if cause == "unknown":
            self.mends.unknown.add(stage)
        if any((f.stage, f.where, f.cause) == (stage, where, cause) for f in self.report.findings):
            return
        self.report.findings.append(
            Finding(
                stage=stage,
                where=where,
                cause=cause,
                difference=difference,
                floor=floor,
                fix=fix,
                precision=self.precision,
            )
        )


def side_of(file: str) -> tuple[str, str]:
    """The side that a file of weights is for, and the file. Raises InputError."""
    path = Path(file)
    require(path)
    if path.suffix in (".pt", ".pth", ".safetensors"):
        return "left", file
    if path.suffix == ".keras" or path.name.endswith(".weights.h5"):
        return "right", file
    raise InputError(f"{file} must end with .pt, .pth, .safetensors, .keras or .weights.h5.")


def _channels_last(shape: Sequence[int]) -> list[int]:
    return [*shape[1:], shape[0]] if len(shape) > 1 and shape[0] <= 4 else list(shape)
