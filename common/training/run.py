"""A run from start to row: build, train, show, save, record. The same for every framework."""

from __future__ import annotations

import datetime
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from common.data.datasets import Dataset
from common.frameworks import ROOT
from common.model.recipe import short_name
from common.tables import machine, store
from common.tables.concurrent_runs import ConcurrentRuns
from common.tables.schema import EpochRow, ErrorRow, Run, Status
from common.training import checkpoint, initial_weights
from common.training.backend import Backend, LoaderOptions, Model, PeerLost
from common.training.job import Job
from common.training.loop import Diverged, Epoch, Progress, train

GRACE_SECONDS = 3  # in which a process writes its row


def execute(
    framework: Backend,
    dataset: Dataset,
    job: Job,
    *,
    show: Callable[[str], None],
    clock: machine.Clock | None = None,
    neighbours: ConcurrentRuns | None = None,
) -> Status:
    """Run `job`, write its rows and its checkpoint; how it ended.

    `show` is given the lines of its course; `clock` tells when it began, if that was not just now, and
    `neighbours` how many runs there were meanwhile.
    """
    clock = clock or machine.Clock.now()
    build_seconds = None
    started = machine.now()
    epochs: list[Epoch] = []
    status: Status = "ok"
    sentence = ""
    try:
        begun = time.perf_counter()
        model = build(framework, job)
        build_seconds = time.perf_counter() - begun
        first = job.execution.world.rank == 0
        for epoch in _train_and_report(model, dataset, job, show if first else _discard):
            epochs.append(epoch)
    except Diverged as error:
        status, sentence = "diverged", str(error)
    except PeerLost as error:
        # Its launcher may end this process as well, but not before there is a row.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        status, sentence = "interrupted", f"Another process of this run has ended: {error}"
    except KeyboardInterrupt:
        status, sentence = "interrupted", "Interrupted."
    if not _mine(job, status, started):
        return status
    if sentence:
        show(sentence)
    if job.results:
        row = _row(
            *(framework, dataset, job, epochs),
            status=status,
            started=started,
            clock=clock,
            build_seconds=build_seconds,
            at_once=neighbours.peak() if neighbours else None,
        )
        store.append(job.results, row, *_epoch_and_error_rows(row, epochs, dataset))
        show(f"Run {row.run} is in {job.results / 'results.csv'}.")
    if job.save_model and job.results and status == "ok":
        _save(model, framework, job)
        show(f"The checkpoint is in {job.save_model}.")
    return status


def _discard(line: str) -> None:
    """What the first process says is not said again."""


def _mine(job: Job, status: Status, started: str) -> bool:
    """Whether this process is to tell of the run: the first, or where it has died the next one."""
    share = job.execution.world
    if share.rank == 0 or job.results is None or status != "interrupted":
        return share.rank == 0
    time.sleep(GRACE_SECONDS * share.rank)
    since = datetime.datetime.fromisoformat(started) - datetime.timedelta(seconds=60)
    return not any(
        row["recipe_hash"] == job.recipe_hash
        and row["world_size"] == str(share.size)
        and datetime.datetime.fromisoformat(row["started"]) >= since
        for row in store.rows(job.results, "results.csv")
    )


def loader(feed: LoaderOptions | None) -> str:
    """Where batches came from, as in a row: `memory`, `native`, `native(num_workers=2 pin_memory=True)`."""
    if feed is None:
        return "memory"
    knobs = [f"num_workers={feed.num_workers}"] if feed.num_workers else []
    knobs += ["pin_memory=True"] if feed.pin_memory else []
    return f"native({' '.join(knobs)})" if knobs else "native"


def build(framework: Backend, job: Job) -> Model:
    """The model of `job` as its run starts."""
    model = framework.build(job.spec, job.recipe.optimizer, execution=job.execution, seed=job.seed)
    if job.start is not None:
        model.load_state_dict(job.start)
    elif "init" not in job.execution.native:
        start = initial_weights.initial(job.spec, job.seed)
        model.load_state_dict(initial_weights.perturbed(start) if job.perturb else start)
    return model


def _train_and_report(
    model: Model, dataset: Dataset, job: Job, show: Callable[[str], None]
) -> Iterator[Epoch]:
    """The epochs of the run, as they come."""
    native_epoch = model.train_epoch if job.execution.loader else None
    done = 0.0
    for event in train(model, dataset, job, native_epoch=native_epoch):
        match event:
            case Progress():
                show(_progress_line(event, job, done))
            case Epoch():
                done += event.training.seconds if event.training else 0.0
                show(_epoch_line(event, job))
                yield event


def _progress_line(progress: Progress, job: Job, done: float) -> str:
    taken = (progress.epoch - 1 - job.start_epoch) * progress.steps + progress.step
    to_come = (job.recipe.epochs - job.start_epoch) * progress.steps - taken
    left = datetime.timedelta(seconds=round((done + progress.seconds) / taken * to_come))
    width = len(str(progress.steps))
    return (
        f"epoch {progress.epoch}/{job.recipe.epochs}  step {progress.step:{width}}/{progress.steps}  "
        f"loss {progress.loss:.4f}  accuracy {progress.accuracy:6.2f} %  left {left}"
    )


def _epoch_line(epoch: Epoch, job: Job) -> str:
    test = f"test loss {epoch.test.loss:.4f} accuracy {epoch.test.accuracy:.2f} %"
    if (shifted := epoch.test.tta_accuracy) is not None:
        test += f" (with shifted views {shifted:.2f} %)"
    if epoch.training is None:
        return f"before training: {test}"
    training = epoch.training
    return (
        f"epoch {epoch.epoch}/{job.recipe.epochs}: train loss {training.loss:.4f} "
        f"accuracy {training.accuracy:.2f} %, {test}, {training.seconds:.1f} s"
    )


def _save(model: Model, framework: Backend, job: Job) -> None:
    assert job.save_model
    about = {"framework": framework.name, "framework_version": framework.version, "epoch": job.recipe.epochs}
    checkpoint.write(job.save_model, model.state_dict(), {**job.settings, **about})


def _row(
    framework: Backend,
    dataset: Dataset,
    job: Job,
    epochs: Sequence[Epoch],
    *,
    status: Status,
    started: str,
    clock: machine.Clock,
    build_seconds: float | None,
    at_once: int | None,
) -> Run:
    """The run's row. What a failed run did not reach, and times of a run that went on, stay empty."""
    last = epochs[-1] if epochs and status == "ok" else None
    training = last.training if last else None
    trained = [epoch.training for epoch in epochs if epoch.training]
    timed = trained if last and trained and not job.start_epoch else []
    seconds = sum(part.seconds for part in timed)
    first_step = timed[0].first_step_seconds if timed else None
    steady = sum(part.images for part in timed) - (job.recipe.batch_size if first_step else 0)
    return Run(
        framework=framework.name,
        model=job.spec.name,
        batch_size=job.recipe.batch_size,
        epochs=job.recipe.epochs,
        accuracy=last.test.accuracy if last else None,
        parameters=job.spec.parameters,
        train_accuracy=training.accuracy if training else None,
        loss=last.test.loss if last else None,
        train_loss=training.loss if training else None,
        seed=job.seed,
        train_seconds=seconds if timed else None,
        first_step_seconds=first_step,
        predict_seconds=last.test.seconds if last else None,
        images_per_second=steady / (seconds - (first_step or 0.0)) if steady else None,
        peak_memory_mib=machine.peak_memory_mib(),
        total_seconds=clock.wall_seconds(),
        dataset=dataset.name,
        optimizer=short_name(job.recipe.optimizer),
        schedule=short_name(job.recipe.schedule),
        lr=job.recipe.lr,
        augment=short_name(job.recipe.augment),
        native="+".join(sorted(job.execution.native)) or "none",
        loader=loader(job.execution.loader),
        precision=job.execution.precision + ("+compile" if job.execution.compiled else ""),
        device=framework.device,
        threads=framework.threads,
        world_size=job.execution.world.size,
        machine=machine.name(),
        framework_version=framework.version,
        python=machine.python(),
        commit=machine.commit(ROOT),
        recipe_hash=job.recipe_hash,
        status=status,
        started=started,
        run=secrets.token_hex(6),
        import_seconds=clock.import_seconds,
        build_seconds=build_seconds,
        cpu_seconds=clock.cpu_seconds(),
        load_before=clock.load,
        load_after=machine.load(),
        at_once=at_once,
        shifted_accuracy=last.test.tta_accuracy if last else None,
    )


def _epoch_and_error_rows(
    run: Run, epochs: Sequence[Epoch], dataset: Dataset
) -> tuple[list[EpochRow], list[ErrorRow]]:
    """Rows of every epoch seen, and of the wrong test images of a run's last."""
    rows = [
        EpochRow(
            run=run.run,
            epoch=epoch.epoch,
            lr=epoch.training.lr if epoch.training else None,
            train_loss=epoch.training.loss if epoch.training else None,
            train_accuracy=epoch.training.accuracy if epoch.training else None,
            loss=epoch.test.loss,
            accuracy=epoch.test.accuracy,
            seconds=epoch.training.seconds if epoch.training else 0.0,
        )
        for epoch in epochs
    ]
    if run.status != "ok":
        return rows, []
    predicted = epochs[-1].test.predicted
    wrong = np.flatnonzero(predicted != dataset.test.labels)
    return rows, [ErrorRow(run=run.run, index=int(index), predicted=int(predicted[index])) for index in wrong]
