"""Files and folders that several processes use at once: a lock, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import platform
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

POLL_SECONDS = 0.05
WARNING_SECONDS = 5.0
"""Wait for a lock until a line says so."""

# Another machine may write to the same folder, and its processes have other numbers.
_HOST = re.sub(r"[^\w-]", "_", platform.node()) or "host"
_TEMPORARY = re.compile(rf"\.{_HOST}-(\d+)\.template-ml")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder. A process that waits for it logs one warning, and waits without
    end: a run that was trained is worth more than the time. Raises OSError.

    The lock is a file, and also the folder itself where the system can lock folders, which excludes others
    even if somebody deletes the file.
    """
    path = folder / ".lock"
    file = FileLock(path)
    _wait_for(lambda: _try_file(file), path)
    try:
        with _folder_lock(folder):
            yield
    finally:
        file.release()


def _try_file(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


@contextlib.contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait_for(lambda: _try_folder(descriptor), folder)
        yield
    finally:
        os.close(descriptor)


def _try_folder(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a network file system that locks files only
    return True


def _wait_for(acquire: Callable[[], bool], path: Path) -> None:
    warning_time = time.monotonic() + WARNING_SECONDS
    warned = False
    while not acquire():
        if not warned and time.monotonic() > warning_time:
            # Without a handler the text alone goes to stderr.
            logging.getLogger(__name__).warning(
                "Waiting for %s, which another process has locked. It goes on when that process ends.", path
            )
            warned = True
        time.sleep(POLL_SECONDS)


def expanded(text: str) -> Path:
    """The path of a text, with the user's folder for `~`; `~NAME` of nobody is a name as any other."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_file(path: Path) -> bool:
    """Whether there is a file at `path`, which may be a link to one.

    Raises OSError for what is no file: a folder, a link to nothing, or a pipe, which would wait for a writer.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "it is a link to nothing", str(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return True


def write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it: readers see the old content or all of the new,
    also after a power cut. If it raises OSError, `path` is as before."""
    temporary = _new_temporary(path.parent)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_writable(folder: Path) -> None:
    """Create `folder`, and a file in it for a moment. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = _new_temporary(folder)
    temporary.touch(exist_ok=False)
    temporary.unlink()


def check_creatable(folder: Path) -> None:
    """Raise OSError unless `folder` can be created and written. It is there afterwards only if it was."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        check_writable(folder)
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def _new_temporary(folder: Path) -> Path:
    """The name of this process's temporary file, which is not there. Also remove the files of this machine's
    processes that were killed before they had renamed theirs."""
    for name in os.listdir(folder):
        owner = _TEMPORARY.fullmatch(name)
        if owner and (int(owner[1]) == os.getpid() or not _is_running(int(owner[1]))):
            with contextlib.suppress(OSError):
                os.unlink(folder / name)
    return folder / f".{_HOST}-{os.getpid()}.template-ml"


def _is_running(pid: int) -> bool:
    import psutil  # rarely needed

    return bool(psutil.pid_exists(pid))
