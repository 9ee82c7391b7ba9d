"""One run in several processes, by each framework's own engine on loopback: its losses are those of one
process, and a process that dies ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support import worker, world_traces

from common.analysis.thresholds import threshold
from common.cli.invocation import parse
from common.data.datasets import Dataset
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.tables import store
from common.training.distributed import LauncherError, World, read_world

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests")])


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def launch(framework: str, folder: Path, words: Sequence[str]) -> list[subprocess.Popen[str]]:
    """Two processes that make one run: the process of their launcher, or where there is none themselves, by
    rank. Runs are counted in `folder`, where no other run of the machine is."""
    pipes: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "cwd": ROOT,
    }
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "TMPDIR": str(folder)}
    ports = free_ports(2)
    if framework == "pytorch":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
        command = [*torchrun, f"--master-port={ports[0]}", *words]
        return [subprocess.Popen(command, env=environment, **pipes)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [
        subprocess.Popen(
            [sys.executable, *words],
            env={**environment, "TF_CONFIG": json.dumps({"cluster": cluster, "task": task})},
            **pipes,
        )
        for task in ({"type": "worker", "index": rank} for rank in range(2))
    ]


def lowest_first_epoch(model: str) -> float:
    """The threshold of one seed in one process, after an epoch."""
    first_epoch = ZOO[model].first_epoch
    assert first_epoch is not None
    return threshold(first_epoch, 1)


def wait(processes: list[subprocess.Popen[str]], *, seconds: float) -> list[tuple[int, str]]:
    """Exit status and output of each process; all have ended after so many seconds."""
    try:
        outputs = [process.communicate(timeout=seconds)[0] for process in processes]
        return [(process.wait(), output) for process, output in zip(processes, outputs, strict=True)]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_two_processes_compute_what_one_does(framework: str, mnist: Dataset, tmp_path: Path) -> None:
    """In double precision; and with dropout, where numbers differ, to the accuracy of one process."""
    file = tmp_path / "traces.json"
    words = [str(ROOT / "tests" / "support" / "world_traces.py"), framework, str(file)]
    for status, output in wait(launch(framework, tmp_path, words), seconds=400):
        assert status == 0, output
    traces = json.loads(file.read_text())
    for network, steps in world_traces.EXACT.items():
        few = world_traces.first_images(mnist, network)
        alone = worker.run(framework, "trace", dataset=few, job=world_traces.exact_job(network)).losses
        assert len(alone) == steps
        np.testing.assert_allclose(traces["losses"][network], alone, rtol=1e-10)
    assert traces["accuracy"] >= lowest_first_epoch(world_traces.NEAR)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_of_two_processes_is_one_row(framework: str, tmp_path: Path) -> None:
    """With BatchNorm, whose statistics differ between the processes, to nearly the accuracy of one."""
    words = [FRAMEWORKS[framework].script, "--no-accel", "--model", "speedrun", "--epochs", "1"]
    words += ["--results", str(tmp_path)]
    for status, output in wait(launch(framework, tmp_path, words), seconds=400):
        assert status == 0, output
    (row,) = store.rows(tmp_path, "results.csv")
    assert (row["world_size"], row["status"], row["at_once"]) == ("2", "ok", "1")
    assert float(row["accuracy"]) >= lowest_first_epoch("speedrun") - 0.2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_process_that_dies_ends_the_run(framework: str, tmp_path: Path) -> None:
    """Within a minute, with one line and a nonzero exit status; rank 0, if it is alive, records the run."""
    folders = [tmp_path / f"killed-{rank}" for rank in range(2)]
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(partial(end_rank, framework, by=signal.SIGKILL), range(2), folders))
    for killed, (statuses, output) in enumerate(ends):
        assert all(statuses), output
        lines = [line for line in output.splitlines() if "Another process of this run has ended" in line]
        assert len(lines) == 1 or (not lines and "Interrupted." in output), output
        assert f'{FRAMEWORKS[framework].script}", line' not in output, (
            "torchrun has a traceback of its own, the script has none"
        )
        rows = [(row["status"], row["world_size"]) for row in store.rows(folders[killed], "results.csv")]
        assert rows == ([] if killed == 0 else [("interrupted", "2")])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGTERM")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_process_that_is_terminated_ends_the_run(framework: str, tmp_path: Path) -> None:
    """As soon as its steps are done, and recorded; TensorFlow by itself ignores SIGTERM once connected."""
    statuses, output = end_rank(framework, 1, tmp_path / "run", by=signal.SIGTERM)
    assert all(statuses), output
    assert "Interrupted." in output
    (row,) = store.rows(tmp_path / "run", "results.csv")
    assert (row["status"], row["world_size"]) == ("interrupted", "2")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="needs SIGALRM")
def test_a_process_whose_peers_never_come_ends() -> None:
    """In TensorFlow, which would wait an hour; the patience is shortened to a second."""
    program = (
        "from backends.tensorflow import distributed as backend\n"
        "from common.training.distributed import World\n"
        "backend.TIMEOUT_SECONDS = 1\n"
        "backend.connect(World(0, 2, 2))\n"
    )
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "TF_CONFIG": config}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=300)
    assert ended.returncode == -signal.SIGALRM


def end_rank(framework: str, ended: int, folder: Path, *, by: signal.Signals) -> tuple[list[int], str]:
    """Exit statuses and output of a run in which the process of one rank gets a signal while it trains."""
    folder.mkdir()
    words = [FRAMEWORKS[framework].script, "--no-accel", "--model", "pytorch-model-1", "--epochs", "50"]
    words += ["--results", str(folder), "--log-interval", "20"]
    processes = launch(framework, folder, words)
    line = ""
    assert processes[0].stdout
    while "step " not in line:
        line = processes[0].stdout.readline()
        assert line, "the run ended before it trained"
    if framework == "pytorch":
        ranks = sorted(child.pid for child in psutil.Process(processes[0].pid).children())
    else:
        ranks = [process.pid for process in processes]
    os.kill(ranks[ended], by)
    ends = wait(processes, seconds=60)
    return [status for status, _ in ends], "".join(output for _, output in ends)


@pytest.mark.parametrize(
    "framework, environment, expected",
    [
        ("pytorch", {}, World()),
        ("pytorch", {"RANK": "3"}, World()),
        (
            "pytorch",
            {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            World(1, 4, 2),
        ),
        ("tensorflow", {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, World()),
        (
            "tensorflow",
            {
                "TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1", "a:2"]}, '
                '"task": {"type": "worker", "index": 2}}'
            },
            World(2, 3, 2),
        ),
        (
            "tensorflow",
            {
                "TF_CONFIG": '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, '
                '"task": {"type": "worker", "index": 0}}'
            },
            World(1, 2, 1),
        ),
    ],
)
def test_the_world_is_read_from_the_launchers_variables(
    framework: str, environment: dict[str, str], expected: World
) -> None:
    assert read_world(framework, environment) == expected


@pytest.mark.parametrize(
    "framework, environment",
    [
        ("pytorch", {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}),
        ("pytorch", {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}),
        (
            "pytorch",
            {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
        ),
        ("pytorch", {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "abc"}),
        ("pytorch", {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "99999"}),
        ("pytorch", {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "", "MASTER_PORT": "1"}),
        ("tensorflow", {"TF_CONFIG": "[" * 100_000}),
        (
            "tensorflow",
            {"TF_CONFIG": '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}'},
        ),
        ("tensorflow", {"TF_CONFIG": "{"}),
        ("tensorflow", {"TF_CONFIG": "[]"}),
        ("tensorflow", {"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}),
        (
            "tensorflow",
            {"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'},
        ),
        ("tensorflow", {"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}'}),
    ],
    ids=str,
)
def test_contradictory_launcher_variables_are_refused(framework: str, environment: dict[str, str]) -> None:
    with pytest.raises(LauncherError):
        read_world(framework, environment)


def test_shards_are_the_whole_batch() -> None:
    order = np.arange(24, dtype=np.int64).reshape(2, 12)
    parts = [World(rank, 3).shard(order) for rank in range(3)]
    assert [part.shape for part in parts] == [(2, 4)] * 3
    np.testing.assert_array_equal(np.sort(np.concatenate(parts, axis=1), axis=1), order)


@pytest.mark.parametrize(
    "words, fact",
    [
        (["--batch-size", "65"], "--batch-size 65 cannot be divided equally among 2 processes."),
        (["--profile"], "--profile is for a run in one process, not in 2."),
        (["--loader", "native"], "--loader native is for a run in one process, not in 2."),
    ],
    ids=str,
)
def test_flags_that_two_processes_do_not_support_are_refused(
    words: list[str], fact: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(SystemExit) as exit_:
        parse("tensorflow", words)
    assert (exit_.value.code, capsys.readouterr().err) == (2, f"tf.py: {fact}\n")
