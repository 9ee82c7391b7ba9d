"""A run is warned of other work on its cores, not of the run before it or of its own."""

from __future__ import annotations

import dataclasses

import pytest

from common.tables.contention import Usage, warning

BEFORE = Usage(wall=100.0, machine=5000.0, process=1.0, cores=4)


@pytest.mark.parametrize(
    "others, own, threads, warned",
    [
        (0.0, 1.0, 4, False),
        (0.3, 1.0, 4, False),
        (1.0, 1.0, 4, True),
        (2.0, 1.0, 2, False),
        (3.0, 1.0, 1, False),
        (4.0, 0.5, 1, True),
        (-0.2, 1.0, 4, False),  # clocks of another resolution
    ],
)
def test_other_work_on_the_cores_of_a_run_is_a_warning(
    others: float, own: float, threads: int, warned: bool
) -> None:
    seconds = 3.0
    after = dataclasses.replace(
        BEFORE,
        wall=BEFORE.wall + seconds,
        machine=BEFORE.machine + (others + own) * seconds,
        process=BEFORE.process + own * seconds,
    )
    line = warning(BEFORE, after, threads=threads)
    assert bool(line) == warned
    if warned:
        assert f"{others:.1f} of the machine's 4 cores" in line
        assert f" {threads} thread" in line


def test_no_time_is_no_warning() -> None:
    assert not warning(BEFORE, BEFORE, threads=4)


def test_the_usage_of_this_machine_is_read() -> None:
    before = Usage.now()
    sum(range(1_000_000))
    after = Usage.now()
    assert before
    assert after
    assert after.machine >= before.machine > 0
    assert after.process >= before.process > 0
    assert after.cores >= 1
