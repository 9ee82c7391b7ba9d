"""The explorer in a real browser, from a file, without a network: its numbers are those of the tables."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from support.tables import aa_rows, add_run

from common.analysis import frames
from common.frameworks import FRAMEWORKS, ROOT
from common.report import __main__ as command
from common.report.explorer import page as explorer
from common.tables import store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
LARGEST = 2_500_000
expect.set_options(timeout=120_000)  # a busy machine is slow, not wrong
SCREEN: Any = {"width": 1300, "height": 900}
DIFFERENCES = (0.31, -0.12, 0.25, 0.04)
TEXT = '</script><b>1,5 | "x"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of two networks, four seeds each, with a failed run and an A/A session, and their explorer."""
    folder = tmp_path_factory.mktemp("explorer")
    failed = dict.fromkeys(("accuracy", "train_accuracy", "loss", "train_loss", "train_seconds"))
    add_run(folder, seed=9, status="failed", reason=TEXT, **failed)
    for model in ("tf-model-1", "nextjournal"):
        for seed, difference in enumerate(DIFFERENCES, start=1):
            accuracy = 98 + seed / 7
            add_run(folder, model, "pytorch", seed=seed, accuracy=accuracy + difference)
            add_run(folder, model, "tensorflow", seed=seed, accuracy=accuracy, train_seconds=8.5 + seed)
    for framework, seconds in zip(FRAMEWORKS, (100.0, 80.0)):
        values = [seconds + number / 100 for number in range(5)]
        store.append_rows(
            folder, "speed.csv", aa_rows(values, values[::-1], quantity="memory", framework=framework)
        )
    assert command.main(["--html", str(folder / "report.html"), "--results", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def opened(browser: Browser, folder: Path, state: str = "", **options: Any) -> Page:
    """The page in a context without a network, in which a request, an error or a warning is a failure."""
    context = browser.new_context(viewport=SCREEN, **options)
    context.set_offline(True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    faults: list[str] = []
    address = (folder / "report.html").as_uri()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: faults.append(request.url) if request.url != address else None)
    page.faults = faults  # type: ignore[attr-defined]
    page.goto(address + state)
    return page


@pytest.fixture(scope="module")
def shared(browser: Browser, folder: Path) -> Iterator[Page]:
    page = opened(browser, folder)
    expect(page.locator("#curves-chart svg")).to_be_visible()
    yield page
    page.context.close()


@pytest.fixture
def page(shared: Page) -> Iterator[Page]:
    """The one page of these tests, in the state of an address without one."""
    shared.set_viewport_size(SCREEN)
    shared.emulate_media(media="screen", color_scheme="light")
    shared.evaluate(
        "location.hash = ''; document.querySelectorAll('details').forEach(d => { d.open = false; })"
    )
    expect(shared.locator("[data-table=runs] .count")).to_have_text("17 of 17 rows")
    yield shared
    assert shared.faults == []  # type: ignore[attr-defined]


def table(place: Locator) -> list[dict[str, str]]:
    """The rows that a table has in the page, by the names of its columns."""
    rows_of_texts = "t => [...t.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    head, *rows = [row for row in place.evaluate(rows_of_texts) if any(row)]  # the filters have no text
    return [dict(zip(head, row, strict=True)) for row in rows]


def recorded(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(page: Page, name: str, column: str) -> list[str]:
    return [row[column] for row in table(page.locator(f"#{name}"))]


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_every_cell_of_every_run_is_that_of_the_csv(browser: Browser, folder: Path, javascript: bool) -> None:
    """Also without JavaScript, where every column is in view."""
    page = opened(browser, folder, java_script_enabled=javascript)
    rows = table(page.locator("#runs"))
    for row, expected in zip(rows, recorded(folder, "results.csv"), strict=True):
        assert {name: value for name, value in row.items() if expected.get(name) != value} == {}
        assert set(row) == set(expected)
    expect(page.locator("#runs th", has_text="accuracy").first).to_be_visible()
    assert page.locator("#runs td:visible").count() > 0
    page.context.close()


@pytest.mark.browser
def test_the_verdicts_are_those_of_the_csv(page: Page, folder: Path) -> None:
    accuracies: dict[tuple[str, str], list[float]] = {}
    for row in recorded(folder, "results.csv"):
        if row["status"] == "ok":
            accuracies.setdefault((row["model"], row["framework"]), []).append(float(row["accuracy"]))
    rows = table(page.locator("#verdicts"))
    assert [row["network"] for row in rows] == ["tf-model-1", "nextjournal"]
    for row in rows:
        first, second = (np.array(accuracies[row["network"], framework]) for framework in FRAMEWORKS)
        differences = first - second
        low, high = scipy.stats.t.interval(0.95, 3, differences.mean(), scipy.stats.sem(differences))
        expected = [first.mean(), second.mean(), differences.mean(), low, high]
        cells = ["pytorch", "tensorflow", "difference", "low", "high"]
        assert [float(row[cell]) for cell in cells] == pytest.approx(expected, abs=6e-4)
        assert row["pairs"] == "4"


@pytest.mark.browser
def test_the_speed_is_that_of_the_csv(page: Page) -> None:
    rows = table(page.locator("#speed"))
    assert [(row["network"], row["quantity"], row["unit"]) for row in rows] == [
        ("tf-model-1", "memory", "MiB")
    ]
    assert float(rows[0]["ratio"]) == pytest.approx(100.02 / 80.02, abs=1e-3)
    assert rows[0]["n"] == "5"


@pytest.mark.browser
def test_a_quantity_without_a_ratio_has_a_sentence_in_place_of_its_chart(page: Page) -> None:
    expect(page.locator("#speed-chart")).to_be_visible()
    expect(page.locator("#speed-none")).to_be_hidden()
    page.get_by_label("Filter Speed and memory by n", exact=True).fill(">5")
    expect(page.locator("#speed-none")).to_be_visible()
    expect(page.locator("#speed-chart")).to_be_hidden()


@pytest.mark.browser
@pytest.mark.parametrize("measure, column", [("accuracy", "accuracy"), ("error", "accuracy"), ("lr", "lr")])
def test_the_curves_are_those_of_the_csv(page: Page, folder: Path, measure: str, column: str) -> None:
    """Means over seeds and Student's intervals, by framework and epoch."""
    page.select_option("#network", "nextjournal")
    page.select_option("#measure", measure)
    runs = {row["run"]: row for row in recorded(folder, "results.csv")}
    values: dict[tuple[str, str], list[float]] = {}
    for row in recorded(folder, "epochs.csv"):
        run = runs[row["run"]]
        if run["model"] == "nextjournal" and run["status"] == "ok" and row[column]:
            title = FRAMEWORKS[run["framework"]].title
            value = float(row[column])
            values.setdefault((title, row["epoch"]), []).append(100 - value if measure == "error" else value)
    rows = table(page.locator("#numbers"))
    assert sorted((row["framework"], row["epoch"]) for row in rows) == sorted(values)
    for row in rows:
        sample = values[row["framework"], row["epoch"]]
        half = scipy.stats.t.ppf(0.975, 3) * np.std(sample, ddof=1) / 2
        expected = [np.mean(sample), np.mean(sample) - half, np.mean(sample) + half]
        assert [float(row[name]) for name in ("mean", "low", "high")] == pytest.approx(expected, rel=1e-5)
        assert row["seeds"] == "4"


@pytest.mark.browser
def test_numbers_are_sorted_as_numbers_and_empty_cells_are_last(page: Page) -> None:
    button = page.locator("#runs th[data-column=train_seconds] button")
    orders = []
    for direction in ("ascending", "descending"):
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#runs th[data-column=train_seconds]")).to_have_attribute("aria-sort", direction)
        orders.append(shown(page, "runs", "train_seconds"))
    assert orders[0] == [*["9.5"] * 2, *["10"] * 8, *["10.5"] * 2, *["11.5"] * 2, *["12.5"] * 2, ""]
    assert orders[1] == [*orders[0][-2::-1], ""]
    button.click()
    expect(page.locator("#runs th[aria-sort]")).to_have_count(0)


@pytest.mark.browser
@pytest.mark.parametrize(
    "column, typed, expected",
    [
        ("train_seconds", ">10.5", {"11.5", "12.5"}),
        ("train_seconds", "<= 10", {"9.5", "10"}),
        ("train_seconds", "10..11", {"10", "10.5"}),
        ("train_seconds", "=10", {"10"}),
        ("train_seconds", ".5", {"9.5", "10.5", "11.5", "12.5"}),
        ("model", "next", {"nextjournal"}),
        ("model", "!next", {"tf-model-1"}),
        ("status", "=OK", {"ok"}),
        ("reason", "<b>", {TEXT}),
    ],
)
def test_a_column_is_filtered(page: Page, column: str, typed: str, expected: set[str]) -> None:
    if column == "reason":
        page.locator("[data-table=runs] summary").click()
        page.locator("li[data-column=reason] input").check()
    page.get_by_label(f"Filter Runs by {column}", exact=True).fill(typed)
    assert set(shown(page, "runs", column)) == expected
    rows = len(shown(page, "runs", column))
    expect(page.locator("[data-table=runs] .count")).to_have_text(f"{rows} of 17 rows")


@pytest.mark.browser
def test_the_address_has_the_state(page: Page, browser: Browser, folder: Path) -> None:
    """Opened elsewhere it shows the same: order, filters, search, columns, choices and ticked runs."""
    runs = page.locator("[data-table=runs]")
    runs.get_by_role("searchbox").fill("pytorch ok")
    page.get_by_label("Filter Runs by seed", exact=True).fill(">1")
    page.locator("#runs th[data-column=accuracy] button").click()
    runs.locator("summary").click()
    runs.locator("li[data-column=loss] input").uncheck()
    runs.locator("li[data-column=commit] input").check()
    page.select_option("#network", "nextjournal")
    page.select_option("#measure", "loss")
    page.locator("#runs .tick").first.check()
    state = "#" + page.url.partition("#")[2]
    other = opened(browser, folder, state)
    expect(other.locator("#curves-chart svg")).to_be_visible()
    for column in ("run", "accuracy"):
        assert shown(other, "runs", column) == shown(page, "runs", column)
    assert len(shown(other, "runs", "run")) == 6
    expect(other.locator("#runs th[data-column=loss]")).to_be_hidden()
    expect(other.locator("#runs th[data-column=commit]")).to_be_visible()
    expect(other.locator("#network")).to_have_value("nextjournal")
    expect(other.locator("#measure")).to_have_value("loss")
    expect(other.locator("#runs .tick").first).to_be_checked()
    assert other.faults == []  # type: ignore[attr-defined]
    other.goto(other.url.partition("#")[0] + "#")
    expect(other.locator("[data-table=runs] .count")).to_have_text("17 of 17 rows")
    other.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("permitted", [True, False])
def test_the_visible_rows_and_columns_are_copied(browser: Browser, folder: Path, permitted: bool) -> None:
    """As CSV and as Markdown; also where the browser refuses its clipboard to the page."""
    page = opened(browser, folder, permissions=["clipboard-read", "clipboard-write"])
    if not permitted:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    runs = page.locator("[data-table=runs]")
    page.get_by_label("Filter Runs by status", exact=True).fill("failed")
    runs.locator("summary").click()
    runs.locator("li[data-column=reason] input").check()
    runs.get_by_role("button", name="Copy as CSV").click()
    expect(page.locator("#status")).to_have_text("Copied 1 rows as CSV.")
    (row,) = csv.DictReader(io.StringIO(page.evaluate("navigator.clipboard.readText()")))
    assert row["reason"] == TEXT
    assert "commit" not in row
    page.evaluate("document.getElementById('status').textContent = ''")
    runs.get_by_role("button", name="Copy as Markdown").click()
    expect(page.locator("#status")).to_have_text("Copied 1 rows as Markdown.")
    head, rule, line = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert head.startswith("| model | framework |")
    assert set(rule) == set("|-: ")
    assert TEXT.replace("|", "\\|") in line
    page.context.close()


@pytest.mark.browser
def test_a_ticked_run_is_drawn(page: Page) -> None:
    lines = page.locator("#curves-chart .mark-line path")
    before = lines.count()
    page.locator("#runs .tick").first.check()
    expect(lines).to_have_count(before + 1)
    page.click("#untick")
    expect(lines).to_have_count(before)
    expect(page.locator("#runs .tick:checked")).to_have_count(0)


@pytest.mark.browser
@pytest.mark.parametrize("chart, words", [("curves", "seeds"), ("verdicts", "pairs"), ("speed", "rounds")])
def test_hovering_shows_the_number_and_the_interval(page: Page, chart: str, words: str) -> None:
    points = page.locator(f"#{chart}-chart .mark-symbol.role-mark path")
    points.last.scroll_into_view_if_needed()
    points.last.hover()
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_contain_text("95 % interval")
    expect(tooltip).to_contain_text(words)
    expect(tooltip).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize("scheme, width", [("light", 1300), ("dark", 390)])
def test_it_is_accessible_and_fits(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    for details in page.locator("summary").all():
        details.click()
    page.locator("#runs .tick").first.check()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    violations = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in violations] == []
    paper, text = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    assert (brightness(paper) < brightness(text)) == (scheme == "dark")


def brightness(colour: str) -> int:
    return sum(int(part) for part in colour.strip("rgb()").split(","))


@pytest.mark.browser
def test_in_print_the_controls_are_gone_and_no_row_is_cut(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    for name in ("verdicts", "runs"):
        expect(page.locator(f"[data-table={name}] .controls")).to_be_hidden()
        assert (
            page.locator(f"#{name}").evaluate("t => getComputedStyle(t.parentElement).overflow") == "visible"
        )
    assert brightness(page.evaluate("getComputedStyle(document.body).color")) == 0
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.slow
def test_the_recorded_results_fit_into_the_size() -> None:
    text = explorer.page(frames.read(ROOT / "results"))
    assert len(text.encode()) <= LARGEST
    assert "http://" not in text.split("<script>")[0]


@pytest.mark.parametrize("file", ["nowhere/report.html", "."])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--html", str(tmp_path / file), "--results", str(tmp_path)])
    assert ended.value.code == 2
    assert file.split("/")[0] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    assert command.main(["--html", str(tmp_path / "report.html"), "--results", str(tmp_path)]) == 2
    assert "vl-convert-python" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
