"""A user's network file: its addresses, what it may hold, and errors with file and line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common.model import own_network
from common.model.own_network import NetworkFileError, entry_of, is_address, load
from common.model.recipe import recipe_hash
from common.model.zoo import ZOO

HEAD = "from common.model import Adam, Conv, Dense, Entry, Flatten, MaxPool, ModelSpec, Recipe\n"
LAYERS = "(Flatten(), Dense(10))"
RECIPE = "Recipe(Adam(), lr=1e-3, batch_size=32, epochs=1)"
ONE = f'{HEAD}NETWORK = ModelSpec("mine", {LAYERS})\nRECIPE = {RECIPE}\n'
TWO = (
    f'{HEAD}SMALL = Entry(ModelSpec("small", {LAYERS}), {RECIPE})\n'
    f'BIG = Entry(ModelSpec("big-one", {LAYERS}), {RECIPE})\n'
)


def _file(folder: Path, text: str, name: str = "net.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_network_and_its_recipe_are_an_entry_with_the_digest_of_their_file(tmp_path: Path) -> None:
    entry = load(_file(tmp_path, ONE))
    assert (entry.name, entry.recipe.epochs, entry.spec.outputs) == ("mine", 1, 10)
    name, _, digest = entry.file.partition("@")
    assert name == "net.py"
    assert len(digest) == 12
    changed = load(_file(tmp_path, ONE + "# changed\n", "other.py"))
    assert changed.file.partition("@")[2] != digest
    assert recipe_hash(changed.spec, changed.recipe) == recipe_hash(entry.spec, entry.recipe)


@pytest.mark.parametrize("name, network", [("SMALL", "small"), ("BIG", "big-one"), ("big-one", "big-one")])
def test_an_entry_is_addressed_by_its_name_in_the_file_or_its_networks(
    tmp_path: Path, name: str, network: str
) -> None:
    assert load(f"{_file(tmp_path, TWO)}:{name}").name == network


def test_the_file_is_run_once_and_leaves_the_interpreter_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as for a user
    log = tmp_path / "runs"
    text = f"{ONE}open({str(log)!r}, 'a').write(__name__ + '\\n')\n"
    address, path, modules = _file(tmp_path, text), list(sys.path), set(sys.modules)
    load(address)
    load(address)
    load(f"{address}:NETWORK")
    (module,) = log.read_text().split()
    assert sys.path == path
    assert {name for name in set(sys.modules) - modules if not name.startswith("common")} == {module}
    assert module.startswith("_network_file_")
    assert sorted(child.name for child in tmp_path.iterdir()) == ["net.py", "runs"]


@pytest.mark.parametrize(
    "text, split",
    [
        ("net.py", ("net.py", None)),
        ("a/net.py:SMALL", ("a/net.py", "SMALL")),
        (r"C:\nets\net.py", (r"C:\nets\net.py", None)),
        (r"C:\nets\net.py:SMALL", (r"C:\nets\net.py", "SMALL")),
        ("under-5k", None),
        ("net.txt:SMALL", None),
    ],
)
def test_an_address_is_split_at_its_last_colon_after_py(
    text: str, split: tuple[str, str | None] | None
) -> None:
    assert own_network._split(text) == split
    assert is_address(text) == (split is not None)


def test_names_of_the_zoo_and_addresses_stand_in_one_place(tmp_path: Path) -> None:
    assert entry_of("under-5k") is ZOO["under-5k"]
    assert entry_of(_file(tmp_path, ONE)).name == "mine"
    with pytest.raises(NetworkFileError, match="did you mean under-5k"):
        entry_of("under-5")


def test_a_file_may_use_the_zoo_and_keep_private_names(tmp_path: Path) -> None:
    text = (
        f"{HEAD}from dataclasses import dataclass, replace\nfrom common.model.zoo import ZOO\n"
        'BASE = ZOO["under-5k"]\n_DRAFT = Entry(BASE.spec, BASE.recipe)\n'
        'MINE = Entry(replace(BASE.spec, name="mine"), BASE.recipe)\n'
        "NETWORK, RECIPE = MINE.spec, MINE.recipe\n"
    )
    address = _file(tmp_path, text)
    assert load(address) == load(f"{address}:MINE") == load(f"{address}:mine")


FAULTS = {
    "a syntax error": (f"{HEAD}x = (\n", ["line 2", "never closed"]),
    "an exception": (f"{HEAD}\nx = 1 / 0\n", ["line 3", "ZeroDivisionError"]),
    "an exit": ("import sys\nsys.exit(3)\n", ["line 2", "ends the process", "SystemExit: 3"]),
    "an error that is no exception": (
        "class Odd(BaseException): pass\nraise Odd('why')\n",
        ["line 2", "Odd: why"],
    ),
    "an error without words": (
        "class Odd(Exception):\n    def __str__(self):\n        raise self\nraise Odd\n",
        ["line 4: Odd."],
    ),
    "an endless message": ("raise ValueError('x' * 10**6)\n", ["line 1", "xxx..."]),
    "a layer of its own": (
        f'{HEAD}class Mine(Dense): pass\nNETWORK = ModelSpec("mine", (Flatten(), Mine(10)))\n',
        ["line 3", "layer 2 is none of the kinds of layers: Mine("],
    ),
    "an optimizer of its own": (
        f"{HEAD}class Mine(Adam): pass\nRECIPE = Recipe(Mine(), lr=1, batch_size=1, epochs=1)\n",
        ["line 3", "optimizer=Mine(", "must be SGD or Adam or Adadelta"],
    ),
    "a class in place of a layer": (
        f'{HEAD}\nNETWORK = ModelSpec("mine", (\n    Flatten, Dense(10)))\n',
        ["line 3", "layer 1 is the class Flatten; write Flatten()."],
    ),
    "an unknown import": ("from common.model import Convolution\n", ["line 1", "Convolution"]),
    "text that is not UTF-8": ("x = '\udcff'\n", ["line 1"]),
    "an unfit layer": (
        f'{HEAD}NETWORK = ModelSpec("mine", (\n    Flatten(), Conv(8, 3)))\nRECIPE = {RECIPE}\n',
        ["line 2", "mine, layer conv1", "(784,)"],
    ),
    "an impossible recipe": (
        f"{HEAD}\nRECIPE = Recipe(Adam(), lr=0, batch_size=1, epochs=1)\n",
        ["line 3", "lr=0"],
    ),
    "no network": (HEAD, ["no network", "NETWORK"]),
    "no recipe": (f'{HEAD}NETWORK = ModelSpec("mine", {LAYERS})\n', ["no RECIPE"]),
    "a network of another type": (f"{HEAD}NETWORK = {LAYERS}\nRECIPE = {RECIPE}\n", ["ModelSpec", "tuple"]),
    "a recipe of another type": (ONE + "RECIPE = {}\n", ["Recipe", "dict"]),
    "an entry the wrong way round": (
        f'{HEAD}A = Entry({RECIPE}, ModelSpec("mine", {LAYERS}))\n',
        ["line 2", "Entry: spec=Recipe(", "must be ModelSpec."],
    ),
    "an accuracy without its spread": (
        f'{HEAD}A = Entry(ModelSpec("mine", {LAYERS}), {RECIPE}, accuracy=98.9)\n',
        ["line 2", "accuracy=98.9 must be Recorded or None."],
    ),
    "a network of a class of its own": (
        ONE.replace("NETWORK =", "class Mine(ModelSpec): pass\nNETWORK =").replace("= ModelSpec(", "= Mine("),
        ["NETWORK must be a ModelSpec, not Mine."],
    ),
    "a recipe of a class of its own": (
        ONE.replace("RECIPE =", "class Mine(Recipe): pass\nRECIPE =").replace("= Recipe(", "= Mine("),
        ["RECIPE must be a Recipe, not Mine."],
    ),
    "an entry of a class of its own": (
        f"{HEAD}class Mine(Entry): pass\n{TWO}".replace("BIG = Entry(", "BIG = Mine("),
        ["BIG must be an Entry, not Mine."],
    ),
    "an entry with a network of a class of its own": (
        f"{HEAD}class Mine(ModelSpec): pass\n{TWO}".replace('ModelSpec("big', 'Mine("big'),
        ["line 5", "Entry: spec=Mine(", "must be ModelSpec."],
    ),
    "two and none named": (TWO, ["several networks", "net.py:SMALL", "net.py:BIG"]),
    "one name twice": (
        TWO.replace("big-one", "small") + "BIG = Entry(BIG.spec, SMALL.recipe, source='a book')\n",
        ["several", "rename"],
    ),
    "a name of the zoo": (ONE.replace("mine", "under-5k"), ["under-5k", "rename"]),
    "a name of the zoo in capitals": (ONE.replace("mine", "Under-5k"), ["Under-5k", "rename"]),
    "a name that is none": (ONE.replace("mine", "a,b"), ["'a,b'"]),
    "nothing to train": (ONE.replace(LAYERS, "(Flatten(),)"), ["no layer with weights"]),
    "a framework": (f"{ONE}\nimport torch\n", ["imports torch", "common.model"]),
}


@pytest.mark.parametrize("text, words", FAULTS.values(), ids=FAULTS)
def test_a_faulty_file_is_named_in_one_line(
    tmp_path: Path, text: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "net.py").write_bytes(text.encode(errors="surrogateescape"))
    address = str(tmp_path / "net.py")
    with pytest.raises(NetworkFileError) as caught:
        load(address)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    for word in words:
        assert word in str(caught.value)


def test_the_working_folder_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    _file(tmp_path, f"import os\nos.chdir('other')\n{ONE}")
    assert own_network.absolute("net.py") == str(tmp_path / "net.py")
    assert load("net.py").name == "mine"
    assert Path.cwd() == tmp_path


def test_a_link_has_its_own_path_as_its_target_need_not_end_in_py(tmp_path: Path) -> None:
    target, link = tmp_path / "no-suffix", tmp_path / "linked.py"
    target.write_text(ONE)
    link.symlink_to(target)
    address = own_network.absolute(str(link))
    assert address == str(link)
    assert load(address).file.startswith("linked.py@")
    target.write_text("1 / 0\n")
    own_network._NETWORKS.clear()
    with pytest.raises(NetworkFileError, match="line 1"):
        load(address)


def test_the_folder_of_nobody_is_refused_in_one_sentence() -> None:
    with pytest.raises(NetworkFileError, match=r"^~nobody-here/x\.py does not exist\.$"):
        load("~nobody-here/x.py")


def test_an_unknown_name_gets_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(NetworkFileError, match=r"did you mean SMALL\?.*SMALL, BIG"):
        load(f"{_file(tmp_path, TWO)}:SMAL")


@pytest.mark.parametrize("name", ["missing.py", "folder.py", "no\0thing.py"])
def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(NetworkFileError, match=r"\.py") as caught:
        load(str(tmp_path / name))
    assert "\n" not in str(caught.value)
