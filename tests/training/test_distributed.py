"""One run in several processes, by each framework's own engine on loopback: it comes to what one process
does, and a process that dies ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.frameworks import FRAMEWORKS
from common.model.spec import BatchNorm, Dropout, SpatialDropout
from common.model.zoo import ZOO
from common.tables import store
from common.training.distributed import LauncherError, World, read_world

ROOT = Path(__file__).resolve().parents[2]
APART = (BatchNorm, Dropout, SpatialDropout)  # what processes do each in its own way
PLAIN = [
    name for name, entry in ZOO.items() if not any(isinstance(layer, APART) for layer in entry.spec.layers)
]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def begin(framework: str, words: list[str], *, processes: int = 2) -> list[subprocess.Popen[str]]:
    """The launcher's process, or where there is no launcher those that make the run, by rank."""
    pipes: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "cwd": ROOT,
    }
    ports = free_ports(processes)
    words = [FRAMEWORKS[framework].script, "--no-accel", *words]
    if framework == "pytorch":
        torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
        return [subprocess.Popen([*torchrun, f"--master-port={ports[0]}", *words], **pipes)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [
        subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "TF_CONFIG": json.dumps({"cluster": cluster, "task": task})},
            **pipes,
        )
        for task in ({"type": "worker", "index": rank} for rank in range(processes))
    ]


def ended(processes: list[subprocess.Popen[str]], *, seconds: float) -> list[tuple[int, str]]:
    """Exit status and output of each."""
    try:
        return [
            (process.wait(), told)
            for process in processes
            for told, _ in [process.communicate(timeout=seconds)]
        ]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("model", PLAIN)
def test_two_processes_come_to_what_one_does(framework: str, model: str, tmp_path: Path) -> None:
    """In double precision, over 100 steps."""
    losses = {}
    for name, processes in (("one", 1), ("two", 2)):
        words = ["--model", model, "--precision", "float64", "--trace", str(tmp_path / name)]
        for status, told in ended(begin(framework, words, processes=processes), seconds=180):
            assert status == 0, told
        losses[name] = np.array(json.loads((tmp_path / name).read_text())["losses"])
    assert len(losses["one"]) == 100
    np.testing.assert_allclose(losses["two"], losses["one"], rtol=1e-10)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("model", ["speedrun", "nextjournal"])
def test_a_run_of_two_processes_is_one_row(framework: str, model: str, tmp_path: Path) -> None:
    """Of networks with BatchNorm and with dropout, where numbers differ but not what they come to."""
    words = ["--model", model, "--epochs", "1", "--results", str(tmp_path)]
    for status, told in ended(begin(framework, words), seconds=240):
        assert status == 0, told
    (row,) = store.rows(tmp_path, "results.csv")
    assert (row["world_size"], row["status"], row["at_once"]) == ("2", "ok", "1")
    assert float(row["accuracy"]) >= ZOO[model].first_epoch_threshold


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_ends_the_run(framework: str, killed: int, tmp_path: Path) -> None:
    """Within a minute, with one clear line and a row that says so."""
    words = [
        "--model",
        "pytorch-model-1",
        "--epochs",
        "50",
        "--results",
        str(tmp_path),
        "--log-interval",
        "20",
    ]
    processes = begin(framework, words)
    told = ""
    assert processes[0].stdout
    while "step " not in told:
        told = processes[0].stdout.readline()
        assert told, "it ended before it began"
    if framework == "pytorch":
        found = subprocess.run(["pgrep", "-P", str(processes[0].pid)], capture_output=True, text=True).stdout
        ranks = sorted(int(number) for number in found.split())
    else:
        ranks = [process.pid for process in processes]
    os.kill(ranks[killed], signal.SIGKILL)
    begun = time.monotonic()
    output = "".join(told for _, told in ended(processes, seconds=60))
    assert time.monotonic() - begun < 60
    lines = [line for line in output.splitlines() if "Another process of this run has ended" in line]
    assert len(lines) == 1 or (not lines and "Interrupted." in output), output
    assert f'{FRAMEWORKS[framework].script}", line' not in output, (
        "torchrun has a traceback of its own, there is none of ours"
    )
    rows = [(row["status"], row["world_size"]) for row in store.rows(tmp_path, "results.csv")]
    assert rows == ([] if killed == 0 else [("interrupted", "2")]), "only rank 0 records"


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
def test_the_launcher_says_which_process_it_is(
    framework: str, environment: dict[str, str], expected: World
) -> None:
    assert read_world(framework, environment) == expected


@pytest.mark.parametrize(
    "framework, environment",
    [
        ("pytorch", {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}),
        ("pytorch", {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}),
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
def test_what_makes_no_sense_is_told(framework: str, environment: dict[str, str]) -> None:
    with pytest.raises(LauncherError):
        read_world(framework, environment)


def test_shares_are_the_whole_batch() -> None:
    order = np.arange(24, dtype=np.int64).reshape(2, 12)
    parts = [World(rank, 3).shard(order) for rank in range(3)]
    assert [part.shape for part in parts] == [(2, 4)] * 3
    np.testing.assert_array_equal(np.sort(np.concatenate(parts, axis=1), axis=1), order)


@pytest.mark.parametrize(
    "words, told",
    [
        (["--batch-size", "65"], "--batch-size 65 cannot be divided equally among 2 processes."),
        (["--profile"], "--profile is for a run in one process, not in 2."),
        (["--loader", "native"], "--loader native is for a run in one process, not in 2."),
    ],
    ids=str,
)
def test_what_processes_cannot_share_is_told(words: list[str], told: str) -> None:
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    found = subprocess.run(
        [sys.executable, "tf.py", *words],
        cwd=ROOT,
        env={**os.environ, "TF_CONFIG": json.dumps(config)},
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stderr) == (2, f"tf.py: {told}\n")
