"""Cores by affinity and by the quotas of control groups, whose files are data."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from common.tables import cores

QUOTAS: dict[str, tuple[dict[str, str], float]] = {
    "no control groups": ({}, math.inf),
    "version 2 without a limit": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"},
        math.inf,
    ),
    "version 2 in a container": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "version 2, limited above": (
        {
            "proc/self/cgroup": "0::/pod/job\n",
            "sys/fs/cgroup/pod/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
        },
        2.0,
    ),
    "version 2, another group limited": (
        {"proc/self/cgroup": "0::/pod\n", "sys/fs/cgroup/other/cpu.max": "100000 100000\n"},
        math.inf,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "5:memory:/\n4:cpu,cpuacct:/docker/1f\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_period_us": "100000\n",
        },
        0.5,
    ),
    "version 1 in a container, by the path of its host": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/1f\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        3.0,
    ),
    "version 1 without a limit": (
        {
            "proc/self/cgroup": "1:cpu:/\n0::/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        math.inf,
    ),
    "a group outside of the container": (
        {"proc/self/cgroup": "0::/../../host\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"},
        1.0,
    ),
    "damaged files": ({"proc/self/cgroup": "0\n0::/\n", "sys/fs/cgroup/cpu.max": "x\n"}, math.inf),
}


@pytest.mark.parametrize("files, expected", QUOTAS.values(), ids=QUOTAS)
def test_the_smallest_quota_counts(files: dict[str, str], expected: float, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cores.quota(tmp_path) == expected


@pytest.mark.parametrize("quota, expected", [(math.inf, 4), (8.0, 4), (2.0, 2), (1.5, 2), (0.2, 1)])
def test_a_quota_limits_the_cores(quota: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(cores, "quota", lambda: quota)
    assert cores.cores() == expected


def test_cores_are_shared_out_and_never_none() -> None:
    assert cores.cores() >= 1
    assert cores.cores_each(10_000) == 1
