"""A job: the settings of a run, apart from the framework and the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal

from common.checked import Between, Checked
from common.model.recipe import Recipe, recipe_hash
from common.model.schedule import span
from common.model.spec import ModelSpec
from common.training.backend import Array, Execution
from common.training.checkpoint import last_epoch_path


@dataclass(frozen=True, kw_only=True)
class Part(Checked):
    """A part of a run, up to its epoch `epochs`: the epochs its schedule was made for, the framework and the
    number of processes that trained it."""

    epochs: Annotated[int, Between(0)]
    schedule_epochs: Annotated[int, Between(0)]
    framework: str
    processes: Annotated[int, Between(1)] = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run of `spec` under `recipe`, recipe.epochs in all, on a schedule made for `schedule_epochs` (at
    least as many).

    `start` holds weights to begin with instead of the initial ones; with `start_epoch` above 0 it is the
    whole state of a run that continues after that epoch. With `perturb` each initial weight is one unit in
    the last place larger. A run that continues has the `origin` of its checkpoint, the digest of other
    weights that it once began with, and its `earlier_parts`; `resumed` is that checkpoint's file.
    `model_file` is the name and digest of the user's own file that the network is in. `settings` is metadata
    of the run's checkpoint, `resume_command` the command that continues from its last whole epoch. Without
    `results` nothing is written (a dry run).
    """

    spec: ModelSpec
    recipe: Recipe
    schedule_epochs: int
    seed: int
    execution: Execution
    test_batch_size: int
    log_interval: int
    settings: Mapping[str, Any]
    results: Path | None = None
    save_model: Path | None = None
    resume_command: str = ""
    start: Mapping[str, Array] | None = None
    start_epoch: int = 0
    resumed: Path | None = None
    perturb: bool = False
    origin: str = ""
    earlier_parts: tuple[Part, ...] = ()
    model_file: str = ""

    @property
    def start_digest(self) -> str:
        """Digest of the weights that the run began with; empty for the initial ones."""
        if self.start is not None and not self.start_epoch:
            return hashlib.sha256(b"".join(array.tobytes() for array in self.start.values())).hexdigest()
        return self.origin or ("perturbed by an ulp" if self.perturb else "")

    @property
    def last_epoch(self) -> Path | None:
        """File that has the last whole epoch until the run has ended; None if the run saves nothing."""
        return last_epoch_path(self.save_model) if self.save_model and self.results else None

    @property
    def resumes_last_epoch(self) -> bool:
        """Whether the run continues from its own file `last_epoch`."""
        files = self.resumed, self.last_epoch
        return None not in files and len({file.resolve() for file in files if file}) == 1

    def is_resumable_after(self, epoch: int) -> bool:
        """Whether a run that continues after `epoch` is this one: it has an epoch left, and all epochs whose
        weights are averaged."""
        return 1 <= epoch <= self.recipe.epochs - max(1, self.recipe.averaged_epochs)

    def parts(self, framework: str, *, epoch: int | None = None) -> tuple[Part, ...]:
        """The earlier parts, and the one that `framework` trains, up to `epoch` or the last one."""
        part = Part(
            epochs=self.recipe.epochs if epoch is None else epoch,
            schedule_epochs=self.schedule_epochs,
            framework=framework,
            processes=self.execution.world.size,
        )
        return *self.earlier_parts, part

    def recipe_hash(self, framework: str) -> str:
        """Digest of network and recipe as run in `framework`.

        It is the recipe's own unless training starts from other weights, the rates are not those of the
        recipe from its first epoch to its last, or another framework or number of processes trained a part.
        """
        parts, schedule = self.parts(framework), self.recipe.schedule

        def settings(part: Part) -> tuple[float, str, int]:
            return span(schedule, part.schedule_epochs), part.framework, part.processes

        own = span(schedule, self.recipe.epochs), framework, self.execution.world.size
        if not self.recipe.epochs or all(settings(part) == own for part in parts):
            return recipe_hash(self.spec, self.recipe, start=self.start_digest)
        # Parts that were trained alike are one, wherever the run was interrupted between them.
        merged = [list(alike)[-1] for _, alike in groupby(parts, settings)]
        # A run of one framework has the same digest as the other's, so that the two can be compared.
        mixed = any(settings(part)[1:] != own[1:] for part in parts)
        changes = [
            {"epochs": part.epochs, "span": settings(part)[0]}
            | ({"framework": part.framework, "processes": part.processes} if mixed else {})
            for part in merged
        ]
        return recipe_hash(self.spec, self.recipe, start=self.start_digest, parts=changes)

    @property
    def input_dtype(self) -> Literal["float32", "float64"]:
        """Type of the images that the network is tested on; autocast makes bfloat16 of float32 itself."""
        return "float64" if self.execution.precision == "float64" else "float32"
