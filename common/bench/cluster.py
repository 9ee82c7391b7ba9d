"""Cells handed to a Dask cluster: a running scheduler, or one of this machine's own.

A worker makes a cell as a bench without a cluster does, in a process of its own, one at a time for each slot
that it was started with; the tables come back, and only the coordinator writes. A cell whose worker has died
is given to another one by Dask.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.bench import tasks
from common.bench.tasks import MAX_ATTEMPTS, Finished, Outcome, Task

if TYPE_CHECKING:
    from distributed import Client, Future

SLOT, GPU = "slot", "GPU"  # resources of workers, by Dask's own convention for the second
CONNECT_SECONDS = 20
DASK_SETS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")


class ClusterError(Exception):
    """There is no cluster to work with; the message is for the person at the terminal."""


@contextlib.contextmanager
def connected(address: str | None, *, workers: int) -> Iterator[Client]:
    """A client of the scheduler at `address`, or of a new one with `workers` on this machine.

    Raises ClusterError if there is none, or no Dask.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ClusterError("Dask is not installed: `pip install distributed bokeh` does that.") from None
    if address is None:
        # Its cells die with its workers, and its workers with it.
        alone: dict[str, Any] = {"threads_per_worker": 1, "resources": {SLOT: 1}, "dashboard_address": ":0"}
        with (
            dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),  # it would be set here too
            LocalCluster(n_workers=workers, **alone) as local,
            Client(local) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(f"There is no Dask scheduler at {address}: {error}.") from None
    with client:
        yield client


def slots(client: Client) -> int:
    """How many cells the workers that are there take at once."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return int(sum(worker["resources"].get(SLOT, 0) for worker in workers))


def run_on_cluster(
    client: Client, todo: Sequence[Task], *, data_dir: Path | None, threads: int | None
) -> Generator[Finished]:
    """Every cell as it ends, in the order they end. One that failed was tried again first.

    When this is left early, cells that have not begun are taken back; those that run go on and are lost.
    """
    from distributed import as_completed

    key = secrets.token_hex(4)  # a killed coordinator's cells may still be there

    def submitted(cell: Task, trial: int) -> Future:
        needed = {SLOT: 1} | ({GPU: 1} if cell.accelerated else {})
        given: dict[str, Any] = {"data_dir": data_dir, "threads": threads, "pure": False, "resources": needed}
        return client.submit(_make, cell, key=f"{cell} {key} {trial}", **given)

    # Earlier ones first: Dask takes tasks in the order they come, where it can.
    waiting = {submitted(cell, 1): (cell, 1) for cell in todo}
    ended = as_completed(list(waiting))
    try:
        for future in ended:
            cell, trial = waiting.pop(future)
            done = _done(cell, future)
            if trial < MAX_ATTEMPTS and not done.finished:
                again = submitted(cell, trial + 1)
                waiting[again] = (cell, trial + 1)
                ended.add(again)
            else:
                yield done
    finally:
        client.cancel(list(waiting))


def _make(cell: Task, **options: Any) -> Outcome:
    """On a worker. What Dask sets for its own sums is not for a cell, which is to run as it does alone."""
    for name in DASK_SETS:
        os.environ.pop(name, None)
    return tasks.run_task(cell, **options)


def _done(cell: Task, future: Future) -> Finished:
    """What the cluster says of a cell."""
    if future.status == "error":
        error = future.exception()
        return Finished(cell, None, f"{type(error).__name__}: {error}")
    if future.status != "finished":
        return Finished(cell, None, f"It was {future.status}.")
    outcome: Outcome = future.result()
    return Finished(cell, outcome)
