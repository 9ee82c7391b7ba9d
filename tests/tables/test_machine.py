"""Times and memory of a process, from its start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from common.tables import machine

ROOT = Path(__file__).resolve().parents[2]


def printed(code: str) -> float:
    command = [sys.executable, "-c", f"import time; from common.tables import machine; {code}"]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_seconds_count_from_the_start_of_the_process() -> None:
    before = time.monotonic()
    elapsed = printed("time.sleep(0.2); print(machine.seconds_since_start())")
    assert 0.2 <= elapsed <= time.monotonic() - before + 0.02  # of a tick of the system's clock


def test_the_wall_clock_moves_no_start_time_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("other systems have start times by the wall clock only")
    before = machine.start_time()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert machine.start_time() == before
    assert machine.seconds_since_start() > 0


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no ended processes")
def test_a_process_that_has_ended_has_no_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.read()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)
    with pytest.raises(psutil.NoSuchProcess):
        machine.start_time(process.pid)
    process.wait()
    with pytest.raises(psutil.NoSuchProcess):
        machine.start_time(process.pid)


def test_peak_memory_is_the_largest_and_the_process_s_own() -> None:
    mebibytes = 200
    held = bytearray(mebibytes << 20)  # a parent larger than its child
    assert machine.peak_memory_mib() > mebibytes
    del held
    assert printed("print(machine.peak_memory_mib())") < mebibytes
    freed = f"held = b'x' * ({mebibytes} << 20); del held; print(machine.peak_memory_mib())"
    assert printed(freed) > mebibytes


def test_cpu_seconds_include_children_that_have_ended() -> None:
    before = machine.cpu_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert machine.cpu_seconds() > before


def test_cores_are_shared_out_and_never_none() -> None:
    assert machine.cores() >= 1
    assert machine.cores_each(10_000) == 1
