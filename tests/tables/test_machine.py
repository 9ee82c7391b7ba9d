"""Times and memory of a process, from its start."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
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


@pytest.mark.parametrize(
    "lines, words",
    [
        ("model name : AMD EPYC\nflags : fma avx avx2 avx512f", "AMD EPYC, AVX-512; "),
        ("model name : AMD EPYC\nflags : fma avx avx2\nbugs :", "AMD EPYC, AVX2; "),
        ("model name : Old: one\nflags : sse2", "Old: one; "),
    ],
)
def test_processors_of_one_name_differ_by_their_vector_instructions(
    tmp_path: Path, lines: str, words: str
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor : 0\n{lines}\n\nprocessor : 1\n{lines}\n")
    assert machine.name(file).startswith(words)
    assert machine.name(tmp_path / "none").endswith(f" cores; {platform.system()}")


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


# The commit


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Git in a folder, with an author and without the settings of this machine; returns its output."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def run(folder: Path, *words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


def project(folder: Path) -> Path:
    """A folder with the one file by which the project is recognised."""
    file = folder / machine.OWN_PATH
    file.parent.mkdir(parents=True)
    file.write_text("# code\n")
    return folder


def repository(git: Callable[..., str], folder: Path) -> str:
    """Make `folder` a repository of all its files; returns the short commit."""
    folder.mkdir(exist_ok=True)
    (folder / "other").write_text("a file")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return git(folder, "rev-parse", "--short=12", "HEAD")


def test_the_commit_is_the_projects_own(git: Callable[..., str], tmp_path: Path) -> None:
    root = project(tmp_path / "mine")
    head = repository(git, root)
    assert machine.commit(root) == head
    (root / "results").mkdir()
    (root / "README.md").write_text("rendered")
    (root / "results" / "results.csv").write_text("a row")
    assert machine.commit(root) == head
    (root / machine.OWN_PATH).write_text("# changed\n")
    assert machine.commit(root) == f"{head}-dirty"


def test_another_repositorys_commit_is_not_ours(
    git: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    head = repository(git, other)
    unpacked = project(other / "inside")
    assert machine.commit(unpacked) == "", "untracked, inside another repository"
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "second")
    assert machine.commit(unpacked) == "", "tracked as a part of another repository"
    top = tmp_path / "top"
    repository(git, top)
    project(top)
    assert machine.commit(top) == "", "untracked, at the top of another repository"
    alone = project(tmp_path / "alone")
    assert machine.commit(alone) == "", "in none"
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert machine.commit(alone) == "", "git is pointed at another"
    monkeypatch.setenv("GIT_WORK_TREE", str(alone))
    assert machine.commit(alone) == ""
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    mine = project(tmp_path / "mine")
    own = repository(git, mine)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert machine.commit(mine) == own != head
