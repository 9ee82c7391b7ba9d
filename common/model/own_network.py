"""Networks of a user's own file: `FILE.py` or `FILE.py:NAME` where a name of the zoo stands.

The file is run as the user's own code, once in a process. It has NETWORK, a ModelSpec, and RECIPE, a Recipe,
or one or more `Entry(network, recipe)` under names of their own. Its rows carry the network's name, which no
network of the zoo may have, and `Entry.file`, the file's name and digest.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from common import files
from common.checked import suggestion
from common.frameworks import FRAMEWORKS
from common.messages import words
from common.model.entry import Entry
from common.model.recipe import Recipe
from common.model.spec import ModelSpec
from common.model.zoo import ZOO
from common.printable import printable
from common.user_file import contained, line_at_fault

NETWORK, RECIPE = "NETWORK", "RECIPE"
"""Names in a file that has one network; `FILE.py:NETWORK` is its address too."""

_NETWORKS: dict[Path, dict[str, Entry]] = {}
"""The networks of the files that have been run."""

LONGEST_REASON = 500  # characters of an error's message

_NAME = re.compile(r"\w[\w.+-]{0,39}")


class NetworkFileError(ValueError):
    """An address without a network; the message is one line for the person at the terminal."""


def is_address(text: str) -> bool:
    """Whether `text` is `FILE.py` or `FILE.py:NAME`, and so no name of the zoo; the file may be missing."""
    return _split(text) is not None


def entry_of(name_or_address: str) -> Entry:
    """The network of the zoo of that name, or the one at the address `FILE.py` or `FILE.py:NAME`.

    Raises NetworkFileError.
    """
    if name_or_address in ZOO:
        return ZOO[name_or_address]
    if is_address(name_or_address):
        return load(name_or_address)
    name = suggestion(name_or_address, ZOO, "name")
    raise NetworkFileError(
        f"{_shortened(name_or_address)} is not in the zoo; {name} FILE.py, FILE.py:NAME or one of "
        f"{', '.join(ZOO)}."
    )


def load(address: str) -> Entry:
    """The network at `FILE.py:NAME`, or the only one of `FILE.py`. NAME is a name in the file or a network's.

    Raises NetworkFileError: for a file that cannot be run, with the line that is at fault; for no network,
    several of which none is named, an unknown name, and a name of the zoo.
    """
    parts = _split(address)
    if parts is None:
        raise NetworkFileError(f"{_shortened(address)} is not FILE.py or FILE.py:NAME.")
    file, name = parts
    path, shown = _existing(file), printable(file)
    if path not in _NETWORKS:
        _NETWORKS[path] = _entries(path, shown)
    entries = _NETWORKS[path]
    by_name = {entry.name: entry for entry in entries.values()} | entries
    if name is None:
        first = next(iter(entries.values()))
        if all(entry == first for entry in entries.values()):
            return first
        addresses = " or ".join(f"{shown}:{name}" for name in entries)
        raise NetworkFileError(f"{shown} has several networks: name one, {addresses}.")
    if name in by_name:
        return by_name[name]
    has = suggestion(name, by_name, "it has")
    raise NetworkFileError(f"{shown} has no network {printable(name)!r}; {has} {', '.join(entries)}.")


def absolute(name_or_address: str) -> str:
    """A name of the zoo as it is, and an address with the absolute path of its file, for other processes."""
    file, name = _split(name_or_address) or (None, None)
    if file is None:
        return name_or_address
    return ":".join([str(_existing(file)), *([name] if name else [])])


def _split(text: str) -> tuple[str, str | None] | None:
    """File and name of an address; the name is None where there is none. A drive's colon is the file's."""
    if text.lower().endswith(".py"):
        return text, None
    file, colon, name = text.rpartition(":")
    return (file, name) if colon and file.lower().endswith(".py") else None


def _existing(file: str) -> Path:
    """The absolute path of an existing file; of a link its own, as the target need not end in .py."""
    shown = printable(file)
    try:
        path = files.expanded(file).absolute()
        if not files.is_file(path):
            raise NetworkFileError(f"{shown} does not exist.")
    except (OSError, ValueError) as error:
        if isinstance(error, NetworkFileError):
            raise
        raise NetworkFileError(f"{shown} cannot be read: {_reason(error)}.") from None
    return path


def _entries(path: Path, shown: str) -> dict[str, Entry]:
    """The networks of a file by their names in it, in order. `shown` is the file as the user named it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NetworkFileError(f"{shown} cannot be read: {_reason(error)}.") from None
    digest = hashlib.sha256(content).hexdigest()[:12]
    namespace = vars(_run(path, content, shown, module_name=f"_network_file_{digest}"))
    entries = {}
    for name, entry in _candidates(namespace, shown).items():
        _check(entry, f"{shown}: {name}")
        entries[name] = replace(entry, file=f"{printable(path.name)}@{digest}")
    if not entries:
        raise NetworkFileError(
            f"{shown} has no network: it needs {NETWORK} = ModelSpec(...) and {RECIPE} = Recipe(...), or "
            "NAME = Entry(network, recipe)."
        )
    for name, entry in entries.items():
        if any(other != entry and other.name == entry.name for other in entries.values()):
            raise NetworkFileError(f"{shown} has several networks of the name {entry.name}; rename {name}.")
    return entries


def _candidates(namespace: dict[str, object], shown: str) -> dict[str, Entry]:
    """The entries among a module's public names, without those of the zoo itself."""
    candidates: dict[str, Entry] = {}
    spec, recipe = namespace.get(NETWORK), namespace.get(RECIPE)
    if type(spec) is ModelSpec and type(recipe) is Recipe:
        candidates[NETWORK] = Entry(spec, recipe)
    elif spec is not None and type(spec) not in (Entry, ModelSpec):
        raise NetworkFileError(f"{shown}: {NETWORK} must be a ModelSpec, not {_kind(spec)}.")
    elif type(spec) is ModelSpec and recipe is not None:
        raise NetworkFileError(f"{shown}: {RECIPE} must be a Recipe, not {_kind(recipe)}.")
    elif type(spec) is ModelSpec and not any(isinstance(value, Entry) for value in namespace.values()):
        raise NetworkFileError(f"{shown} has {NETWORK} but no {RECIPE} = Recipe(...).")
    for name, value in namespace.items():
        if (
            not isinstance(value, Entry)
            or name.startswith("_")
            or any(value is entry for entry in ZOO.values())
        ):
            continue
        if type(value) is not Entry:
            raise NetworkFileError(f"{shown}: {name} must be an Entry, not {_kind(value)}.")
        candidates[name] = value
    return candidates


def _check(entry: Entry, place: str) -> None:
    """Raise NetworkFileError for a network with which no row can be made, or none that is apart from the
    zoo's."""
    if not _NAME.fullmatch(entry.name):
        raise NetworkFileError(
            f"{place} has the name {_shortened(entry.name)!r}; a name has at most 40 letters, digits and "
            "the signs . _ + and -."
        )
    if entry.name.lower() in ZOO:
        raise NetworkFileError(
            f"{place} has the name {entry.name}, which is in the zoo; rename it, so that its rows are apart."
        )
    if entry.spec.parameters == 0:
        raise NetworkFileError(f"{place} has no layer with weights, so nothing can be trained.")


class _Source(importlib.abc.SourceLoader):
    """Compiles what was read, and leaves no compiled file beside it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = path, content

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: str | bytes) -> bytes:
        return self.content


class _FrameworkImportError(ImportError):
    """A file of a network imports a framework, itself or by what it imports."""


class _FrameworkGuard(importlib.abc.MetaPathFinder):
    """Refuses to import a framework before its seconds of loading and its log lines."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in {framework.package for framework in FRAMEWORKS.values()}:
            raise _FrameworkImportError(
                f"it imports {fullname}; a network is to train in every framework, so it is described with "
                "common.model alone."
            )


def _run(path: Path, content: bytes, shown: str, *, module_name: str) -> ModuleType:
    """The module of a file that has been run. It is in sys.modules under a name that shadows no other, where
    dataclasses look for their module."""
    loader = _Source(path, content)
    module_spec = importlib.util.spec_from_file_location(module_name, path, loader=loader)
    assert module_spec
    module = importlib.util.module_from_spec(module_spec)
    guard = _FrameworkGuard()
    sys.modules[module_name] = module
    sys.meta_path.insert(0, guard)
    try:
        with contained():
            loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[module_name]
        raise NetworkFileError(_sentence(error, path, shown)) from None
    finally:
        sys.meta_path.remove(guard)
    return module


def _sentence(error: BaseException, path: Path, shown: str) -> str:
    """Description of an error in a file, with the line of the file that is at fault."""
    line = line_at_fault(error, path)
    place = f"{shown}, line {line}" if line else shown
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{place}: {printable(error.msg)}."
    if isinstance(error, SystemExit):
        return f"{place}: it ends the process ({_reason(error)}); a network's file only describes it."
    return f"{place}: {_reason(error).removesuffix('.')}."


def _reason(error: BaseException) -> str:
    """The first line of an error's message: this program's own, with the error's type before any other."""
    text = str(getattr(error, "strerror", None) or (words(error).splitlines() or [""])[0])
    text = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
    kind = type(error)
    plain = kind.__module__.startswith("common.") or getattr(error, "strerror", None)
    return printable(text if plain and text else f"{kind.__name__}: {text}".removesuffix(": "))


def _kind(value: object) -> str:
    return type(value).__name__


def _shortened(text: str) -> str:
    text = printable(text)
    return text if len(text) <= 60 else f"{text[:60]}..."
