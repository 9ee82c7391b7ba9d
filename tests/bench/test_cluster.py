"""Tasks on a real Dask cluster on this machine: each has one row at the end, whichever process is killed."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from common.bench import __main__ as bench
from common.bench import cluster
from common.bench.tasks import Outcome, Task
from common.frameworks import FRAMEWORKS, ROOT
from common.tables import store

distributed = pytest.importorskip("distributed", reason="Dask is not installed")

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

DASK = [sys.executable, "-m", "dask"]
OPTIONS = ["--models", "tf-model-1", "--vary", "epochs=1", "--threads", "1"]
QUICK = ["--frameworks", "pytorch"]
"""The framework that starts sooner, where which one runs is of no account."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], *, until: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the project's folder, from when its log contains `until`; it ends with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: until in log.read_text())
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: object, *, seconds: float = 300) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[psutil.Process]]]:
    """A scheduler's address and the nannies of its two workers."""
    folder = tmp_path_factory.mktemp("dask")
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = [*DASK, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", ":0"]
    worker = [
        *DASK,
        "worker",
        address,
        "--nthreads",
        "1",
        "--resources",
        "slot=1",
        "--dashboard-address",
        ":0",
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(scheduler, until="Scheduler at", log=folder / "scheduler"))
        nannies = []
        for name in ("one", "two"):
            words = ["--name", name, "--local-directory", str(folder / name)]
            process = running([*worker, *words], until="Registered to", log=folder / f"{name}.log")
            nannies.append(psutil.Process(stack.enter_context(process).pid))
        yield address, nannies


def runs_of(process: psutil.Process) -> list[psutil.Process]:
    """The runs among the descendants of a process."""
    return [child for child in process.children(recursive=True) if "--seed" in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def start(address: str, folder: Path, *words: str) -> subprocess.Popen[str]:
    """A bench that submits its tasks to the cluster."""
    command = [sys.executable, "-m", "common.bench", *OPTIONS, "--cluster", address, "--results", str(folder)]
    return subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def tasks_of(folder: Path, status: str = "ok") -> Counter[tuple[str, str]]:
    rows = store.rows(folder, "trials.csv")
    return Counter((row["framework"], row["seed"]) for row in rows if row["status"] == status)


def each(seeds: int, frameworks: Iterable[str] = FRAMEWORKS) -> Counter[tuple[str, str]]:
    return Counter((framework, str(seed)) for framework in frameworks for seed in range(1, seeds + 1))


def test_another_worker_runs_the_task_of_a_killed_one(
    workers: tuple[str, list[psutil.Process]], tmp_path: Path
) -> None:
    address, nannies = workers
    process = start(address, tmp_path, "--seeds", "1")
    wait_for(lambda: all(map(runs_of, nannies)))
    (run,) = runs_of(nannies[0])
    (worker,) = [child for child in nannies[0].children() if run in runs_of(child)]
    worker.kill()
    run.wait(timeout=300)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert tasks_of(tmp_path) == each(1)
    assert "Dask's dashboard is at http" in printed
    assert "0 done, 2 running, 0 failed, 0 to come" in printed
    assert "1 done, 1 running, 0 failed, 0 to come" in printed
    assert {row["threads"] for row in store.rows(tmp_path, "trials.csv")} == {"1"}


def test_a_killed_bench_continues_with_the_missing_tasks(
    workers: tuple[str, list[psutil.Process]], tmp_path: Path
) -> None:
    address, _ = workers
    words = [*QUICK, "--seeds", "3"]
    first = start(address, tmp_path, *words)
    wait_for(lambda: len(store.rows(tmp_path, "trials.csv")) >= 1)
    first.kill()
    first.wait()
    before = sum(tasks_of(tmp_path).values())
    assert 0 < before < 3
    second = start(address, tmp_path, *words)
    printed, _ = second.communicate(timeout=300)
    assert second.returncode == 0
    assert f"3 tasks, {before} in the tables already, {3 - before} to run." in printed
    assert tasks_of(tmp_path) == each(3, ["pytorch"])


def test_a_task_that_fails_twice_has_a_row_with_the_reason(
    workers: tuple[str, list[psutil.Process]], tmp_path: Path
) -> None:
    address, _ = workers
    (tmp_path / "file").touch()
    words = [*QUICK, "--seeds", "1", "--data-dir", str(tmp_path / "file" / "no")]
    process = start(address, tmp_path / "results", *words)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "tf-model-1 pytorch seed 1 epochs=1 failed: exit status 2: pytorch.py: " in printed
    assert tasks_of(tmp_path / "results", "failed") == {("pytorch", "1"): 1}
    for row in store.rows(tmp_path / "results", "trials.csv"):
        assert row["reason"].startswith("exit status 2: ")
        assert row["accuracy"] == ""


def test_tasks_run_at_once_on_this_machine(tmp_path: Path) -> None:
    words = [*OPTIONS[:4], *QUICK, "--seeds", "2", "--workers", "2", "--results", str(tmp_path)]
    assert bench.main(words) == 0
    assert tasks_of(tmp_path) == each(2, ["pytorch"])


def test_no_more_tasks_are_submitted_than_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask gives waiting tasks to a worker that is busy, and need not move them to one that is done. Here the
    first task ends only when all others have, on the other worker."""
    outcome = Outcome(status=0, tables={"results.csv": b""}, last_lines="", machine="", seconds=1.0)
    others = threading.Semaphore(0)
    submitted, ended = [], []
    todo = [Task("tf-model-1", "pytorch", seed) for seed in range(1, 7)]

    def run(task: Task, **_: object) -> Outcome:
        if task.seed > 1:
            others.release()
        else:
            assert all(others.acquire(timeout=20) for _ in todo[1:])
        ended.append(task)
        return outcome

    monkeypatch.setattr(cluster.tasks, "run_task", run)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            resources={cluster.SLOT: 1},
            dashboard_address=None,
        ) as local,
        distributed.Client(local) as client,
    ):
        submit = client.submit

        def counted(function: object, task: Task, **options: object) -> object:
            submitted.append(task)
            assert len(submitted) - len(ended) <= 2
            return submit(function, task, **options)

        monkeypatch.setattr(client, "submit", counted)
        finished = list(cluster.run_on_cluster(client, todo, data_dir=None, threads=1))
    assert submitted == todo
    assert {each.task for each in finished if each.outcome == outcome} == set(todo)


def test_a_missing_scheduler_is_named_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    assert bench.main([*OPTIONS, "--cluster", address, "--results", str(tmp_path)]) == 2
    assert address in capsys.readouterr().err
