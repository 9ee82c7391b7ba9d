"""All that decides a run except the framework and the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.model.recipe import Recipe, recipe_hash
from common.model.spec import ModelSpec
from common.training.backend import Array, Execution


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run of `spec` under `recipe`, recipe.epochs in all, on a schedule made for `schedule_epochs` (at
    least as many).

    `start` holds weights to begin with instead of the initial ones; with `start_epoch` above 0 it is the
    whole state of a run that continues after that epoch. With `perturb` each initial weight is one unit in
    the last place larger. `settings` is the metadata of the run's checkpoint. Without `results` nothing is
    written (a dry run).
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
    start: Mapping[str, Array] | None = None
    start_epoch: int = 0
    perturb: bool = False

    @property
    def recipe_hash(self) -> str:
        """Digest of network and recipe as run; a different one when training starts from other weights."""
        digest = "perturbed by an ulp" if self.perturb else ""
        if self.start is not None and not self.start_epoch:
            digest = hashlib.sha256(b"".join(array.tobytes() for array in self.start.values())).hexdigest()
        return recipe_hash(self.spec, self.recipe, start=digest)

    @property
    def input_dtype(self) -> Literal["float32", "float64"]:
        """Type of the images that the network is tested on; autocast makes bfloat16 of float32 itself."""
        return "float64" if self.execution.precision == "float64" else "float32"
