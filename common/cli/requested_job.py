"""The job and the data set that a command line describes; settings without a flag come from the checkpoint
that is resumed, or from the recipe."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.checked import RecipeError
from common.cli.arguments import flag, parser
from common.cli.invocation import Invocation, varied
from common.cli.saved_settings import check_metadata, require_epoch
from common.data.datasets import DATASETS, Dataset, hold_out, validated
from common.data.source import is_own, load
from common.files import expanded
from common.model.entry import Entry
from common.model.recipe import Recipe
from common.training import checkpoint
from common.training.backend import Execution, LoaderOptions
from common.training.fit import fitted
from common.training.job import Job, Part

_NOT_SAVED = (
    *("data_dir", "num_workers", "pin_memory", "test_batch_size", "no_accel", "threads"),
    *("results", "save_model", "log_interval"),
)
"""Settings that no checkpoint has."""


def requested_job(invocation: Invocation) -> Job:
    """The job of its first seed. Raises CheckpointError, RecipeError."""
    saved = checkpoint.read(invocation.resume) if invocation.resume else None
    metadata = saved.metadata if saved else {}
    if saved:
        assert invocation.resume
        check_metadata(metadata, invocation.resume)
    entry = varied(invocation.entry, invocation.vary or metadata.get("vary", []))
    if saved:
        assert invocation.resume
        checkpoint.check(saved, invocation.resume, entry.spec, entry.recipe.optimizer)
    settings = _settings(invocation, entry, metadata)
    recipe = dataclasses.replace(
        entry.recipe,
        batch_size=settings["batch_size"],
        lr=settings["lr"],
        epochs=_epochs(invocation, entry),
    )
    if invocation.resume:
        require_epoch(metadata, invocation.resume)
        _require_same(invocation.resume, metadata, entry, recipe)
    if settings["loader"] != "native" and (invocation.num_workers or invocation.pin_memory):
        raise checkpoint.CheckpointError(
            f"{invocation.resume} was trained from memory: --num-workers and --pin-memory are not for it."
        )
    if saved and metadata["epoch"] >= recipe.epochs:
        raise checkpoint.CheckpointError(
            f"{invocation.resume} has {metadata['epoch']} epochs done: --epochs must be above that, not "
            f"{recipe.epochs}."
        )
    options = LoaderOptions(num_workers=invocation.num_workers, pin_memory=invocation.pin_memory)
    job = Job(
        spec=entry.spec,
        recipe=recipe,
        schedule_epochs=max(recipe.epochs, entry.recipe.epochs),
        seed=settings["seed"],
        execution=Execution(
            precision=settings["precision"],
            native=frozenset(settings["native"]),
            compiled=settings["compile"],
            scaling=recipe.scaling,
            label_smoothing=recipe.label_smoothing,
            loader=options if settings["loader"] == "native" else None,
            world=invocation.world,
        ),
        test_batch_size=invocation.test_batch_size,
        log_interval=invocation.log_interval,
        settings={
            "model": entry.name,
            **({"model_file": entry.file} if entry.file else {}),
            "network": entry.spec.to_dict(),
            "recipe": recipe.to_dict(),
            **settings,
        },
        results=None if invocation.dry_run or invocation.mode else invocation.results,
        save_model=invocation.save_model,
        resume_command=_resume_command(invocation, recipe),
        perturb=settings["perturb"] is not None,
        model_file=entry.file,
    )
    if saved:
        return dataclasses.replace(
            job,
            start=saved.state,
            start_epoch=metadata["epoch"],
            resumed=invocation.resume,
            origin=str(metadata.get("start", "")),
            earlier_parts=_parts(invocation, metadata, entry),
        )
    if invocation.checkpoint:
        return dataclasses.replace(job, start=checkpoint.load_weights(invocation.checkpoint, entry.spec))
    return job


def on_requested_data(invocation: Invocation, job: Job, *, log: Callable[[str], None]) -> tuple[Job, Dataset]:
    """The job fitted to its data, and the images to train and test on, under the name that the tables use.

    The metadata of a checkpoint on a user's own data have their name as `data`, and their scaling. Raises
    DataError, and CheckpointError for a run that would continue on other data.
    """
    name, held_out = job.settings["dataset"], job.settings["validation"]
    loading = invocation.startup.dataset
    dataset = loading.result() if loading else load(name, data_dir=invocation.data_dir, log=log)
    data = dataset.name
    if job.resumed and job.settings.get("data", data) != data:
        raise checkpoint.CheckpointError(
            f"{job.resumed} was trained on {job.settings['data']}; {name} has {data} now."
        )
    if held_out:
        dataset = dataclasses.replace(hold_out(dataset, held_out), name=validated(data, held_out))
    job = fitted(job, dataset)
    if is_own(data):
        scaling = job.execution.scaling
        log(f"Pixels in 0..1 are scaled with mean {scaling.mean:.4f} and deviation {scaling.std:.4f}.")
        settings = {**job.settings, "data": data, "scaling": dataclasses.asdict(scaling)}
        job = dataclasses.replace(job, settings=settings)
    if invocation.dry_run:
        dataset = dataclasses.replace(
            dataset,
            train=dataset.train[: job.recipe.batch_size],
            test=dataset.test[: job.test_batch_size],
        )
    return job, dataset


def _resume_command(invocation: Invocation, recipe: Recipe) -> str:
    """The command that continues the run from its last whole epoch, with all that its checkpoint lacks; empty
    for a run that saves none, and for one in several processes, which cannot be resumed."""
    if invocation.save_model is None or invocation.world.size > 1:
        return ""
    last_epoch = checkpoint.last_epoch_path(invocation.save_model)
    words: list[object] = ["python", sys.argv[0], "--resume", last_epoch, "--epochs", recipe.epochs]
    words += ["--model", invocation.model] if invocation.entry.file else []
    defaults = parser(invocation.framework)
    for name in _NOT_SAVED:
        value = getattr(invocation, name)
        if value != defaults.get_default(name):
            words += [flag(name)] if value is True else [flag(name), value]
    return shlex.join(map(str, words))


def _epochs(invocation: Invocation, entry: Entry) -> int:
    if invocation.epochs is None:
        return 1 if invocation.dry_run else entry.recipe.epochs
    return min(invocation.epochs, 1) if invocation.dry_run else invocation.epochs


def _settings(invocation: Invocation, entry: Entry, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a resumed run keeps: from the command line, else the checkpoint, else defaults.

    Raises CheckpointError where command line and checkpoint disagree.
    """
    defaults: dict[str, Any] = {
        "seed": 1,
        "batch_size": entry.recipe.batch_size,
        "lr": entry.recipe.lr,
        "precision": "float32",
        "native": [],
        "perturb": None,
        "vary": [],
        "compile": False,
        "loader": "memory",
        "dataset": "mnist",
        "validation": 0,
    }
    fields = {name: getattr(invocation, name) for name in defaults}
    given = {name: value for name, value in fields.items() if value is not None}
    settings = defaults | {name: saved[name] for name in (*defaults, "data") if name in saved}
    if given.get("dataset", "mnist") not in DATASETS:
        given["dataset"] = str(expanded(given["dataset"]).absolute())
        if settings["dataset"] not in DATASETS:  # which may have moved: its digest is compared
            settings["dataset"] = given["dataset"]
    for name, value in given.items():
        given[name] = value = list(value) if isinstance(value, tuple) else value
        if saved and value != settings[name]:
            raise checkpoint.CheckpointError(
                f"{invocation.resume} was trained with {flag(name)} {settings[name]}; it cannot be resumed "
                f"with {value}."
            )
    return settings | given


def _require_same(path: Path, saved: Mapping[str, Any], entry: Entry, recipe: Recipe) -> None:
    """Raise CheckpointError unless the run in `path` had the network and the recipe that it would continue
    with, and can be continued."""
    epoch, averaged = saved["epoch"], recipe.averaged_epochs
    planned = saved.get("recipe", {}).get("epochs", epoch)
    if averaged > 1 and not (isinstance(planned, int) and epoch <= planned - averaged):
        raise checkpoint.CheckpointError(
            f"{path} has the mean of the weights of its last epochs (averaged_epochs={averaged}), "
            "which no training continues; --checkpoint starts a new run from it."
        )
    if averaged > 1 and epoch < recipe.epochs < epoch + averaged:
        raise checkpoint.CheckpointError(
            f"{path} has {epoch} epochs done, and the last {averaged} are averaged: --epochs must be at "
            f"least {epoch + averaged}, not {recipe.epochs}."
        )
    choices: dict[str, dict[str, object]] = {"network": entry.spec.to_dict(), "recipe": recipe.to_dict()}
    for name, choice in choices.items():
        before = saved.get(name)
        if not isinstance(before, dict):
            continue  # of an older version
        now = json.loads(json.dumps(choice))
        fields = sorted((before.keys() | now.keys()) - {"epochs"})
        changed = [field for field in fields if before.get(field) != now.get(field)]
        if changed:
            pairs = "; ".join(f"{field} {before.get(field)}, now {now.get(field)}" for field in changed)
            raise checkpoint.CheckpointError(f"{path} was trained with another {name}: {pairs}.")


def _parts(invocation: Invocation, saved: Mapping[str, Any], entry: Entry) -> tuple[Part, ...]:
    """The parts of the run that is continued; older checkpoints name none and had one. Raises
    CheckpointError."""
    only = {
        "epochs": saved["epoch"],
        "schedule_epochs": max(saved["epoch"], entry.recipe.epochs),
        "framework": saved.get("framework", invocation.framework),
    }
    try:
        return tuple(Part(**part) for part in saved.get("parts", [only]))
    except (TypeError, RecipeError):
        raise checkpoint.CheckpointError(
            f"{invocation.resume} names parts of its run that are none: {saved.get('parts', [only])}."
        ) from None
