"""Threads of a run by OMP_NUM_THREADS, alike in all scripts, and the waiting of OpenMP's threads."""

from __future__ import annotations

import pytest

from common.cli import threads
from common.cli.invocation import parse
from common.cli.threads import SPINS, ThreadsError, default_threads, limit_spinning
from common.frameworks import FRAMEWORKS
from common.tables.cores import cores_each

frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)


@frameworks
@pytest.mark.parametrize(
    "value, words, expected",
    [
        ("7", [], 7),
        (" 3,2 ", [], 3),
        ("", [], cores_each(1)),
        ("7", ["--threads", "2"], 2),
        ("many", ["--threads", "2"], 2),
    ],
)
def test_the_environment_names_the_threads_where_no_flag_does(
    framework: str, value: str, words: list[str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert parse(framework, words).threads == expected


@frameworks
@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5", "99999999999"])
def test_a_number_that_is_none_is_one_line(
    framework: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(SystemExit) as exit_:
        parse(framework, [])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "OMP_NUM_THREADS" in line
    assert value in line


def test_the_launchers_own_number_counts_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun sets 1 for each of several processes."""
    monkeypatch.setattr(threads, "cores_each", lambda processes: 8 // processes)
    assert default_threads(1, {"OMP_NUM_THREADS": "1"}) == 1
    assert default_threads(2, {"OMP_NUM_THREADS": "1"}) == 4
    assert default_threads(2, {"OMP_NUM_THREADS": "3"}) == 3
    with pytest.raises(ThreadsError):
        default_threads(2, {"OMP_NUM_THREADS": "x"})


@frameworks
@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}, {SPINS: "5"}], ids=str)
def test_a_users_own_waiting_is_kept(framework: str, own: dict[str, str]) -> None:
    environment = dict(own)
    limit_spinning(FRAMEWORKS[framework], environment)
    spins = FRAMEWORKS[framework].openmp_spins
    assert environment == (own if own or spins is None else {SPINS: str(spins)})
