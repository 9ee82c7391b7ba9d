"""The two scripts are pages that can be read side by side: the same parts in the same order."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from common.frameworks import FRAMEWORKS, ROOT

LONGEST = 250


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(body: list[ast.stmt]) -> list[str]:
    """Names of the functions and classes, in order."""
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def pages() -> list[ast.Module]:
    return [tree(ROOT / framework.script) for framework in FRAMEWORKS.values()]


def test_the_parts_have_the_same_names_in_the_same_order() -> None:
    first, *others = [definitions(page.body) for page in pages()]
    assert first == ["build_layer", "build_layers", "build_optimizer", "Model", "Backend"]
    assert others == [first] * len(others)


@pytest.mark.parametrize("name", ["Model", "Backend"])
def test_the_methods_have_the_same_names_in_the_same_order(name: str) -> None:
    first, *others = [
        [method for method in definitions(node.body) if not method.startswith("_") or method == "__init__"]
        for page in pages()
        for node in page.body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    assert len(first) > 1
    assert others == [first] * len(others)


@pytest.mark.parametrize("script", [framework.script for framework in FRAMEWORKS.values()])
def test_a_page_stays_short(script: str) -> None:
    assert len((ROOT / script).read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_backends_have_the_same_files() -> None:
    files = [{path.name for path in (ROOT / "backends" / name).glob("*.py")} for name in FRAMEWORKS]
    assert len(files[0]) > 5
    assert files == [files[0]] * len(files)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_page_imports_no_other_framework(name: str) -> None:
    """import-linter holds this of packages; the scripts are none."""
    imports = set()
    for node in ast.walk(tree(ROOT / FRAMEWORKS[name].script)):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports.add(node.module or "")
    foreign = {"pytorch": {"tensorflow", "keras"}, "tensorflow": {"torch", "torchvision"}}[name]
    assert not {module.split(".")[0] for module in imports} & foreign
    assert not any(
        module.startswith(f"backends.{other}") for module in imports for other in FRAMEWORKS if other != name
    )


def test_no_class_of_one_framework_is_named_after_another() -> None:
    for name, framework in FRAMEWORKS.items():
        others = {word for other in FRAMEWORKS if other != name for word in (other, FRAMEWORKS[other].title)}
        others |= {"torch"} if name != "pytorch" else {"keras"}
        for path in [ROOT / framework.script, *(ROOT / "backends" / name).glob("*.py")]:
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ClassDef):
                    assert not any(word.lower() in node.name.lower() for word in others), node.name
