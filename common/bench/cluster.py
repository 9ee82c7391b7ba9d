"""Runs tasks on a Dask cluster: a running scheduler's, or one that `bench scaling` starts on this machine.

A worker runs a task as a bench without a cluster does, in a new process, one at a time for each of its slots;
it returns the tables, and only the bench writes. Dask gives a task whose worker has died to another worker.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.bench import tasks
from common.bench.tasks import MAX_ATTEMPTS, Finished, Outcome, Task

if TYPE_CHECKING:
    from distributed import Client, Future

SLOT, GPU = "slot", "GPU"  # resources of workers; the second by Dask's convention
CONNECT_SECONDS = 20
JOIN_SECONDS = 5
"""Seconds within which new workers are noticed."""

DASK_SETS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")


class ClusterError(Exception):
    """A cluster that cannot be reached; the message is for the person at the terminal."""


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at `address`.

    Raises ClusterError if the scheduler does not answer, or if Dask is not installed.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("Dask is not installed: `pip install distributed bokeh` does that.") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(f"There is no Dask scheduler at {address}: {error}.") from None
    with client:
        yield client


@contextlib.contextmanager
def started(workers: int) -> Iterator[Client]:
    """A client of a new scheduler with `workers` on this machine, which end with this process."""
    import dask
    from distributed import Client, LocalCluster

    settings: dict[str, Any] = {"threads_per_worker": 1, "resources": {SLOT: 1}, "dashboard_address": ":0"}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),  # Dask would set it in this process too
        LocalCluster(n_workers=workers, **settings) as local,
        Client(local) as client,
    ):
        yield client


def slots(client: Client) -> int:
    """Number of tasks that the connected workers run at once."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return int(sum(worker["resources"].get(SLOT, 0) for worker in workers))


def run_on_cluster(
    client: Client, todo: Sequence[Task], *, data_dir: Path | None, threads: int | None
) -> Generator[Finished]:
    """Every task as it ends; a task that failed has been attempted again before.

    As many are submitted as there are slots, the next when one ends or a worker joins: Dask would give each
    worker its tasks at once, and move hardly any of them to one that is done with its own.
    When the generator is closed early, running tasks go on and their rows are lost.
    """
    from distributed import wait

    key = secrets.token_hex(4)  # the tasks of a killed bench may still be there

    def submit(task: Task, attempt: int) -> Future:
        resources = {SLOT: 1} | ({GPU: 1} if task.accelerated else {})
        options: dict[str, Any] = {"data_dir": data_dir, "threads": threads}
        name = f"{task} {key} {attempt}"
        return client.submit(_run_on_worker, task, key=name, pure=False, resources=resources, **options)

    remaining = deque((task, 1) for task in todo)
    running: dict[Future, tuple[Task, int]] = {}
    try:
        while remaining or running:
            while remaining and len(running) < max(1, slots(client)):
                task, attempt = remaining.popleft()
                running[submit(task, attempt)] = task, attempt
            with contextlib.suppress(TimeoutError):
                wait(list(running), timeout=JOIN_SECONDS, return_when="FIRST_COMPLETED")
            for future in [future for future in running if future.done()]:
                task, attempt = running.pop(future)
                ended = _finished(task, future)
                if attempt < MAX_ATTEMPTS and not ended.completed:
                    remaining.appendleft((task, attempt + 1))
                else:
                    yield ended
    finally:
        client.cancel(list(running))


def _run_on_worker(task: Task, **options: Any) -> Outcome:
    """The outcome of a task, run on a worker without the variables that Dask sets for its own arithmetic."""
    for name in DASK_SETS:
        os.environ.pop(name, None)
    return tasks.run_task(task, **options)


def _finished(task: Task, future: Future) -> Finished:
    """A task with its outcome, or with the reason why its worker returned none."""
    if future.status == "error":
        error = future.exception()
        return Finished(task, None, f"{type(error).__name__}: {error}")
    if future.status != "finished":
        return Finished(task, None, f"Dask reports it as {future.status}.")
    outcome: Outcome = future.result()
    return Finished(task, outcome)
