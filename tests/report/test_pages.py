"""The pages have what the tables have; `--check` detects where they do not, and writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.blocks import block
from support.tables import add_pairs, add_run, digits

from common.analysis import frames
from common.data.datasets import DataError
from common.model.zoo import ZOO
from common.report import __main__ as command
from common.report import gallery, output, pages, plots, reference, run_tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the typed text of the pages and empty blocks."""
    (tmp_path / "docs").mkdir()
    for name, marker in pages.MARKED.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(pages.fill(text, {marker: ""}), encoding="utf-8")
    return tmp_path


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests have no data set, and none downloads it, unless they use `no_pictures`."""

    def load(*_: object, **__: object) -> None:
        raise DataError("There are no digits here.")

    monkeypatch.setattr(output, "load", load)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "load", lambda *_, **__: digits())
    monkeypatch.setattr(plots, "draw", lambda *_: [])


def results(root: Path) -> Path:
    return root / "results"


def rendered(root: Path) -> tuple[str, str]:
    tables = frames.read(results(root))
    texts = pages.pages(tables, root=root)
    return block(texts[root / "README.md"], "results"), texts[root / "benchmarks.md"]


@pytest.mark.parametrize("page", pages.MARKED)
def test_a_committed_page_has_its_block(page: str) -> None:
    assert block((ROOT / page).read_text(encoding="utf-8"), pages.MARKED[page]).strip()


def test_the_readme_opens_with_the_answer_and_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert text.index("results:begin") < text.index("## ")
    assert block(text, "results").strip().startswith("- **In short**")


@pytest.mark.slow
def test_the_committed_pages_link_to_the_planned_pictures() -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/gallery.md"))
    linked = set(re.findall(r"\((?:\.\./)?results/plots/([^)]+)\)", text))
    assert linked == {picture.file for picture in plots.planned(frames.read(ROOT / "results"))}


@pytest.mark.parametrize("page", pages.MARKED)
def test_no_measured_number_is_typed_by_hand(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    text = text.replace(block(text, pages.MARKED[page]), "")
    if page == "docs/port.md":  # its code and output are compared with the command's (tests/port)
        text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"py(thon)?[ -]*3\.\d+|by-sa[ /]3\.0", "", text, flags=re.IGNORECASE)  # versions
    assert not re.findall(r"\d+\.\d+|\d\s*%", text)


def test_no_runs_yet(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([], root=root) == 0
    out = capsys.readouterr().out
    assert "no runs" in out
    assert "README.md" in out
    assert "benchmarks.md" in out
    table, marks = rendered(root)
    assert table.strip() == gallery.NO_RUNS
    assert "No runs yet." in marks
    assert not results(root).exists()
    assert command.main(["--check"], root=root) == 0


def test_the_answer_is_printed_last(
    root: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("tf-model-1", "nextjournal", "under-5k"):
        add_pairs(results(root), [0.1, -0.1], model)
    assert command.main([], root=root) == 0
    answer = capsys.readouterr().out.splitlines()[-6:]
    assert answer[0].startswith("Accuracy: ")
    assert "3 networks" in answer[0]
    lines = rendered(root)[0].replace("`", "").replace("**", "").strip().splitlines()
    assert lines[:6] == [f"- {line}" for line in answer]


def test_the_table_of_results(root: Path) -> None:
    for seed, accuracy in ((1, 97.0), (2, 98.0), (3, 99.0)):
        add_run(results(root), seed=seed, accuracy=accuracy, train_accuracy=accuracy + 0.5)
    add_run(results(root), framework="tensorflow", accuracy=97.5)
    table, _ = rendered(root)
    lines = table.splitlines()
    start = lines.index("| MODEL | BATCHES | EPOCHS | ACCURACY | PARAMS | SOURCE'S CLAIM |")
    row = f"| `tf-model-1` | 128 | 8 | 98.00 ± 1.00 %, 97.50 % | 101,770 | {ZOO['tf-model-1'].claim} |"
    assert lines[start + 2] == row
    verdicts = lines.index("| MODEL | PARAMS | PYTORCH % | TENSORFLOW % | DIFFERENCE | VERDICT |")
    assert lines[verdicts + 2].startswith("| `tf-model-1` | 101,770 | 98.00 | 97.50 |")
    assert verdicts < start
    assert any(line.endswith("(results/plots/answer.png)") for line in lines[:verdicts])


def test_a_repeated_seed_is_counted_once(root: Path) -> None:
    add_run(results(root), accuracy=98.0)
    add_run(results(root), accuracy=98.0)
    add_run(results(root), accuracy=99.0, seed=2)
    table, marks = rendered(root)
    assert "98.50 ± 0.71 %" in table
    assert "98.50 ± 0.71 % (n=2, 3 runs)" in marks


def test_tables_appended_to_themselves_render_the_same_pages(root: Path) -> None:
    add_pairs(results(root), [0.1, -0.1, 0.05])
    before = rendered(root)
    for path in results(root).glob("*.csv"):
        path.write_bytes(path.read_bytes() + path.read_bytes().partition(b"\n")[2])
    assert rendered(root) == before


def test_rows_of_other_recipes_are_named_and_kept_apart(root: Path) -> None:
    add_run(results(root), accuracy=97.77)
    add_run(results(root), accuracy=97.11, recipe={"lr": 0.5}, native="init")
    add_run(results(root), accuracy=97.22, dataset="mnist-validation-10000")
    table, marks = rendered(root)
    assert "97.77" in table
    assert "97.11" not in table
    assert "97.22" not in table
    others = marks.split("## Other settings")[1]
    assert "97.11" in others
    assert "lr 0.5 instead of 0.001; native init instead of none" in others
    assert "97.22" in others
    assert "dataset mnist-validation-10000 instead of mnist" in others
    assert "97.77" not in others


def test_rows_of_older_arithmetic_are_kept_apart(root: Path) -> None:
    for seed in (1, 2, 3):
        add_run(results(root), accuracy=97.77, seed=seed, numerics=1)
    add_run(results(root), accuracy=97.11, numerics=2)
    table, marks = rendered(root)
    zoos, others = marks.split("## Other settings")
    for page in (table, zoos):
        assert "97.11" in page
        assert "97.77" not in page
    assert "| 1 | 97.77 ± 0.00 % (n=3) |" in others
    assert "97.11" not in others


def test_rows_of_one_network_with_other_settings_are_listed(root: Path) -> None:
    add_run(results(root), world_size=2)
    assert run_tables.DIFFERING not in rendered(root)[0]
    add_run(results(root), framework="tensorflow", world_size=8)
    table, marks = rendered(root)
    for page in (table, marks):
        assert run_tables.DIFFERING in page
        assert "TensorFlow against PyTorch: world_size 8 instead of 2" in page


def test_failed_runs_are_counted_and_listed(root: Path) -> None:
    add_run(results(root))
    failed = add_run(results(root), status="diverged", accuracy=None, seed=7)
    table, marks = rendered(root)
    assert "unfinished ones (1)" in table
    assert "2 runs: 1 ok, 1 diverged, 0 interrupted" in marks
    assert failed.run in marks.split("## Unfinished runs")[1]


def test_missing_runs_are_listed(root: Path) -> None:
    add_run(results(root))
    missing = next(line for line in rendered(root)[0].splitlines() if line.startswith("Not run yet"))
    assert "`tf-model-1` in TensorFlow" in missing
    assert "`tf-model-1` in PyTorch" not in missing


def test_the_zoo_block_has_every_network(root: Path) -> None:
    text = reference.zoo_block(ZOO.values())
    for entry in ZOO.values():
        assert f"| `{entry.name}` | {entry.spec.parameters:,} |" in text
        assert entry.assumed in text


def test_the_command_line_block_is_the_help_text(monkeypatch: pytest.MonkeyPatch) -> None:
    text = reference.command_line_block()
    monkeypatch.setenv("COLUMNS", "41")
    assert reference.command_line_block() == text
    assert max(map(len, text.splitlines())) <= reference.HELP_WIDTH
    for flag in (
        "--model",
        "--epochs",
        "--resume",
        "--checkpoint",
        "--save-model",
        "--validation",
        "--native",
    ):
        assert flag in text
    assert str(Path.home()) not in text


@pytest.mark.usefixtures("no_pictures")
def test_check_sees_a_new_row_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(results(root), accuracy=97.0)
    assert command.main([], root=root) == 0
    assert command.main(["--check"], root=root) == 0
    add_run(results(root), framework="tensorflow", accuracy=98.76)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert command.main(["--check"], root=root) == 1
    out = capsys.readouterr().out
    assert "--- README.md" in out
    assert "--- benchmarks.md" in out
    assert any(line.startswith("+") and "98.76" in line for line in out.splitlines())
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("name", ["README.md", "benchmarks.md"])
def test_check_sees_a_number_changed_by_hand(root: Path, name: str) -> None:
    add_run(results(root), accuracy=97.0)
    assert command.main([], root=root) == 0
    path = root / name
    path.write_text(path.read_text(encoding="utf-8").replace("97.00 %", "99.00 %"), encoding="utf-8")
    assert command.main(["--check"], root=root) == 1


def test_check_needs_no_digits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_run(results(root))
    for path, text in pages.pages(frames.read(results(root)), root=root).items():
        pages.write(path, text)
    assert command.main(["--check"], root=root) == 0


def test_without_digits_nothing_is_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(results(root))
    before = (root / "README.md").read_bytes()
    assert command.main([], root=root) == 2
    assert capsys.readouterr().err.splitlines() == ["There are no digits here."]
    assert (root / "README.md").read_bytes() == before
    assert not (root / "benchmarks.md").exists()


@pytest.mark.slow
def test_every_picture_of_the_pages_is_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "load", lambda *_, **__: digits())
    for model in ("tf-model-1", "under-5k"):
        add_pairs(results(root), [0.1, -0.1], model)
    assert command.main([], root=root) == 0
    text = (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)]+\.png)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert linked == ["results/plots/answer.png"]
    linked += [link.removeprefix("../") for link in re.findall(r"\]\(([^)]+\.png)\)", text)]
    assert all((root / link).exists() for link in linked)
    assert {Path(link).name for link in linked} == {path.name for path in (results(root) / "plots").iterdir()}
    assert "![under-5k: confusion matrix]" in text


@pytest.mark.slow
@pytest.mark.parametrize("absent", [["epochs.csv"], ["errors.csv"], ["epochs.csv", "errors.csv"]], ids=str)
def test_without_epochs_or_errors_the_report_goes_on_without_their_pictures(
    root: Path, absent: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "load", lambda *_, **__: digits())
    add_run(results(root), "tf-model-1", accuracy=97.77)
    for name in absent:
        (results(root) / name).unlink()
    assert command.main([], root=root) == 0
    printed = capsys.readouterr().out
    for name in ("epochs.csv", "errors.csv"):
        assert (f"{results(root) / name} has no rows of tf-model-1" in printed) == (name in absent)
    assert "97.77" in (root / "README.md").read_text(encoding="utf-8")
    text = (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    for picture, table in (
        ("per-epoch", "epochs.csv"),
        ("confusion", "errors.csv"),
        ("predictions", "errors.csv"),
    ):
        assert (f"{picture}" in block(text, "pictures")) == (table not in absent), picture
    linked = re.findall(r"\]\(([^)]+\.png)\)", text)
    assert {Path(link).name for link in linked} == {path.name for path in (results(root) / "plots").iterdir()}


def test_a_network_without_epochs_is_left_out_of_their_pictures(
    root: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("tf-model-1", "nextjournal"):
        add_run(results(root), model)
    path = results(root) / "epochs.csv"
    kept = [line for line in path.read_text().splitlines(keepends=True) if "tf-model-1" not in line]
    path.write_text("".join(kept))
    assert command.main([], root=root) == 0
    assert "epochs.csv has no rows of tf-model-1:" in capsys.readouterr().out
    tables = frames.read(results(root))
    assert plots._material(tables).with_epochs() == ["nextjournal"]


@pytest.mark.usefixtures("no_pictures")
def test_the_links_of_a_folder_with_a_space_have_none(root: Path) -> None:
    folder = root / "my results"
    add_run(folder)
    assert command.main(["--results", str(folder)], root=root) == 0
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert links
    assert not any(re.search(r"\s", link) for link in links)


def test_another_folder_has_a_page_of_its_own(
    root: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(root / "elsewhere", accuracy=97.77)
    add_run(results(root), accuracy=97.55)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    flags = ["--results", str(root / "elsewhere")]
    assert command.main(flags, root=root) == 0
    page = root / "elsewhere" / "report.md"
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert after == {**before, page: page.read_bytes()}
    text = page.read_text(encoding="utf-8")
    assert "97.77" in text
    assert "(plots/overview.png)" in text
    compared = capsys.readouterr().out.splitlines()[-1]
    assert compared.startswith("tf-model-1: no finished run of its recipe in TensorFlow")
    assert "97.55" in compared
    assert compared in text.replace("`", "")
    assert "](benchmarks.md)" not in text
    assert command.main([*flags, "--check"], root=root) == 0
    add_run(root / "elsewhere", seed=2)
    assert command.main([*flags, "--check"], root=root) == 1


def test_pictures_that_cannot_be_written_are_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "load", lambda *_, **__: digits())
    add_run(results(root))
    (results(root) / "plots").write_text("a file where the folder should be")
    assert command.main([], root=root) == 1
    error = capsys.readouterr().err
    assert str(results(root) / "plots") in error
    assert error.count("\n") == 1


def test_a_folder_that_is_not_there_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        command.main(["--results", str(root / "nowhere")], root=root)
    assert exit_status.value.code == 2
    assert "nowhere" in capsys.readouterr().err


def test_no_readme_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check"], root=tmp_path) == 2
    assert "README.md" in capsys.readouterr().err
