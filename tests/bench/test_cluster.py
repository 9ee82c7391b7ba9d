"""Cells on a real Dask cluster on this machine: whoever is killed, each has one row at the end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.bench import __main__ as bench
from common.tables import store

pytest.importorskip("distributed", reason="Dask is not installed")

ROOT = Path(__file__).resolve().parents[2]
DASK = [sys.executable, "-m", "dask"]
CELLS = ["--models", "tf-model-1", "--threads", "1"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], *, until: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the project's folder, from when its log says `until`; it ends with this."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: until in log.read_text(), seconds=60)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: object, *, seconds: float = 120) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[int]]]:
    """A scheduler's address and the process numbers of two workers' nannies."""
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
            nannies.append(stack.enter_context(process).pid)
        yield address, nannies


def children(process: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True).stdout
    return [int(number) for number in found.split()]


def making(process: int) -> list[int]:
    """The runs among the descendants of a process."""
    below = children(process)
    runs = [child for child in below if b".py\0" in _command(child) and b"--seed" in _command(child)]
    return runs + [run for child in below for run in making(child)]


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def begin(address: str, folder: Path, *words: str) -> subprocess.Popen[str]:
    """A bench that hands its cells to the cluster."""
    command = [sys.executable, "-m", "common.bench", *CELLS, "--cluster", address, "--results", str(folder)]
    return subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def cells_of(folder: Path, status: str = "ok") -> Counter[tuple[str, str]]:
    rows = store.rows(folder, "results.csv")
    return Counter((row["framework"], row["seed"]) for row in rows if row["status"] == status)


def each(seeds: int) -> Counter[tuple[str, str]]:
    return Counter(
        {(framework, str(seed)): 1 for framework in ("pytorch", "tensorflow") for seed in range(1, seeds + 1)}
    )


def test_the_cell_of_a_killed_worker_is_made_elsewhere(
    workers: tuple[str, list[int]], tmp_path: Path
) -> None:
    address, nannies = workers
    process = begin(address, tmp_path, "--seeds", "2")
    wait_for(lambda: all(making(nanny) for nanny in nannies))
    (run,) = making(nannies[0])
    (worker,) = [child for child in children(nannies[0]) if run in making(child)]
    subprocess.run(["kill", "-9", str(worker)], check=True)
    wait_for(lambda: not Path(f"/proc/{run}").exists(), seconds=5)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert cells_of(tmp_path) == each(2)
    assert "Dask's dashboard is at http" in printed
    assert "0 done, 2 running, 0 failed, 2 to come" in printed
    assert "3 done, 1 running, 0 failed, 0 to come" in printed
    rows = store.rows(tmp_path, "results.csv")
    assert {row["threads"] for row in rows} == {"1"}
    assert max(row["at_once"] for row in rows) == "2"
    assert len(store.rows(tmp_path, "epochs.csv")) == sum(1 + int(row["epochs"]) for row in rows)


def test_a_killed_coordinator_goes_on_with_what_is_missing(
    workers: tuple[str, list[int]], tmp_path: Path
) -> None:
    address, _ = workers
    first = begin(address, tmp_path, "--seeds", "2")
    wait_for(lambda: len(store.rows(tmp_path, "results.csv")) >= 1)
    first.kill()
    first.wait()
    before = sum(cells_of(tmp_path).values())
    assert 0 < before < 4
    second = begin(address, tmp_path, "--seeds", "2")
    printed, _ = second.communicate(timeout=300)
    assert second.returncode == 0
    assert f"4 cells, {before} in the tables already, {4 - before} to run." in printed
    assert cells_of(tmp_path) == each(2)


def test_a_cell_that_fails_twice_is_a_row_with_its_reason(
    workers: tuple[str, list[int]], tmp_path: Path
) -> None:
    address, _ = workers
    (tmp_path / "file").touch()
    process = begin(
        address, tmp_path / "results", "--seeds", "1", "--data-dir", str(tmp_path / "file" / "no")
    )
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "tf-model-1 pytorch seed 1 failed: exit status 2: pytorch.py: " in printed
    assert cells_of(tmp_path / "results", "failed") == each(1)
    for row in store.rows(tmp_path / "results", "results.csv"):
        assert row["reason"].startswith("exit status 2: ")
        assert row["accuracy"] == ""


def test_workers_of_this_machine_are_started_for_the_asking(tmp_path: Path) -> None:
    assert bench.main([*CELLS[:2], "--seeds", "1", "--workers", "2", "--results", str(tmp_path)]) == 0
    rows = store.rows(tmp_path, "results.csv")
    assert cells_of(tmp_path) == each(1)
    assert {row["at_once"] for row in rows} == {"2"}


def test_where_there_is_no_scheduler_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    assert bench.main([*CELLS, "--cluster", address, "--results", str(tmp_path)]) == 2
    assert f"There is no Dask scheduler at {address}" in capsys.readouterr().err
