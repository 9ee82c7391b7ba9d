"""Runs tasks on this machine or on a cluster, records the rows of each, and reports the progress."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path

from common import files
from common.bench import cluster, local, tasks
from common.bench.lock import locked
from common.bench.tasks import Finished, Task
from common.tables import store
from common.tables.cores import cores_each

LOG = "bench.log"
"""The file in the folder of the tables that has what the runs printed."""

RESULTS, TRIALS = "results.csv", "trials.csv"
"""The tables of runs, and of trials, of which only the row is kept and not the epochs and errors."""


def run_missing(
    wanted: Sequence[Task],
    options: argparse.Namespace,
    *,
    where: Mapping[str, str] = tasks.NOWHERE,
    table: str = RESULTS,
) -> int:
    """Run the tasks of `wanted` without a finished row in `table` that has the values `where`, by column; an
    exit status."""
    todo = partial(_missing, wanted, options.results, where=where, table=table)
    if options.dry_run:
        print("\n".join(map(str, todo())))
        return 0
    store.check_writable(options.results)
    files.is_file(options.results / LOG)  # a pipe in its place would wait for a reader
    with locked(options.results):
        started = todo()
        status = _run_all(started, options, table)
        # These runs may be of newer arithmetic than rows that counted before.
        now = tasks.missing(wanted, store.rows(options.results, table), where=where) if status == 0 else []
        void = [task for task in now if task not in started]
        if void:
            print(f"{len(void)} runs in the tables are of older arithmetic, and count no more; run it again.")
        return 1 if void else status


def _missing(wanted: Sequence[Task], folder: Path, *, where: Mapping[str, str], table: str) -> list[Task]:
    """The tasks to run; prints how many."""
    todo = tasks.missing(wanted, store.rows(folder, table), where=where)
    print(f"{len(wanted)} tasks, {len(wanted) - len(todo)} in the tables already, {len(todo)} to run.")
    return todo


def _run_all(todo: Sequence[Task], options: argparse.Namespace, table: str) -> int:
    """Run the tasks here, --workers of them at once, or with --cluster by Dask; an exit status."""
    address, workers = getattr(options, "cluster", None), getattr(options, "workers", None) or 1
    data_dir, threads = options.data_dir, options.threads
    if address is None:
        threads = threads or (cores_each(workers) if workers > 1 else None)
        return run_here(
            todo, options.results, data_dir=data_dir, threads=threads, workers=workers, table=table
        )
    record = partial(_record_all, todo=todo, folder=options.results, table=table)
    try:
        with cluster.connected(address) as client:
            print(f"Dask's dashboard is at {client.dashboard_link}")
            if not cluster.slots(client):
                print(f"No worker there has a slot yet: dask worker ADDRESS --resources {cluster.SLOT}=1")
            finished = cluster.run_on_cluster(client, todo, data_dir=data_dir, threads=threads)
            return record(_logged(finished, options.results / LOG), slots=lambda: cluster.slots(client))
    except cluster.ClusterError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def run_here(
    todo: Sequence[Task],
    folder: Path,
    *,
    data_dir: Path | None,
    threads: int | None,
    workers: int = 1,
    table: str = RESULTS,
) -> int:
    """Run the tasks on this machine, `workers` at once, and record each as it ends; an exit status."""
    log = folder / LOG
    run = partial(local.run_here, todo, workers=workers, data_dir=data_dir, threads=threads)
    # Of several runs at once the log has the last lines of each: their lines would be mixed.
    finished = run(log=log) if workers == 1 else _logged(run(), log)
    return _record_all(finished, todo=todo, folder=folder, table=table, slots=lambda: workers)


def _logged(finished: Generator[Finished], log: Path) -> Generator[Finished]:
    """The same tasks; the last lines that each printed on its worker are appended to the log."""
    with contextlib.closing(finished), log.open("a") as file:
        for ended in finished:
            lines = ended.outcome.last_lines if ended.outcome else ended.failure
            print(f"{ended.task}\n{lines}", file=file, flush=True)
            yield ended


def _record_all(
    finished: Generator[Finished],
    *,
    todo: Sequence[Task],
    folder: Path,
    table: str,
    slots: Callable[[], int],
) -> int:
    """Record every task as it ends; an exit status. `slots` returns how many tasks can run at once."""
    remaining, failed = list(todo), 0
    unrecorded: Finished | None = None
    try:
        with contextlib.closing(finished):
            _report_progress(remaining, folder, done=0, failed=0, slots=slots())
            for ended in finished:
                unrecorded = ended
                remaining.remove(ended.task)
                failed += not ended.completed
                _record(ended, folder, table)
                unrecorded = None
                done = len(todo) - len(remaining) - failed
                _report_progress(remaining, folder, done=done, failed=failed, slots=slots())
    except KeyboardInterrupt as stop:
        if unrecorded and unrecorded.completed and not _is_recorded(unrecorded, folder, table):
            _record(unrecorded, folder, table)
        for outcome in stop.outcomes if isinstance(stop, tasks.Interrupted) else ():
            store.merge(folder, _kept(outcome.tables, table))
        print("\nInterrupted; run it again to continue.")
        return 130
    except store.ResultsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if failed:
        print(f"{failed} tasks failed: see {folder / LOG}.", file=sys.stderr)
    return 1 if failed else 0


def _kept(tables: Mapping[str, bytes], table: str) -> Mapping[str, bytes]:
    """The tables of a run, or its row alone where `table` is TRIALS."""
    if table == RESULTS:
        return tables
    return {table: tables[RESULTS]} if RESULTS in tables else {}


def _record(ended: Finished, folder: Path, table: str) -> None:
    """Append the rows of a task to its tables, or one row with the reason why it has none."""
    outcome = ended.outcome
    if outcome and ended.completed:
        store.merge(folder, _kept(outcome.tables, table))
        accuracy = outcome.row["accuracy"]
        result = f"{float(accuracy):.2f} %" if accuracy else outcome.row["status"]
        print(f"{ended.task}: {outcome.seconds:.0f} s, {result}")
        return
    place = outcome.machine if outcome else ""
    store.append_rows(folder, table, [tasks.failed_row(ended.task, ended.reason, machine_name=place)])
    print(f"{ended.task} failed: {ended.reason}")


def _is_recorded(ended: Finished, folder: Path, table: str) -> bool:
    """Whether the row of a completed task is in the table; an interruption undoes a write that it ends."""
    assert ended.outcome
    run = ended.outcome.row["run"]
    return any(row["run"] == run for row in store.rows(folder, table))


def _report_progress(remaining: Sequence[Task], folder: Path, *, done: int, failed: int, slots: int) -> None:
    """Print how many tasks have ended, and the expected time of those that remain."""
    if not remaining:
        return
    running = min(slots, len(remaining))
    first = f" ({remaining[0]})" if slots == 1 else ""
    parts = [f"{done} done, {running} running{first}, {failed} failed, {len(remaining) - running} to come"]
    seconds = tasks.seconds_left(remaining, store.rows(folder, "results.csv"))
    if seconds:
        parts.append(f"about {datetime.timedelta(seconds=round(seconds / max(slots, 1)))} left")
    print(", ".join(parts), flush=True)
