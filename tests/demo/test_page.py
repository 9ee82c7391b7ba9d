"""The demo with trained networks, the frameworks' processes and a real browser.

Requires a Chromium of the system; without one the tests in the browser are skipped.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect, sync_playwright
from support import photos, worker
from support.demo_server import Server, running
from support.strokes import ring, stroke

from common.cli.predict_server import checkpoint_path
from common.data.datasets import Dataset
from common.demo.preprocess import to_mnist
from common.frameworks import FRAMEWORKS, ROOT
from common.model.zoo import ZOO
from common.training import checkpoint

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
expect.set_options(timeout=120_000)  # a busy machine is slow, not wrong
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo that found no checkpoint and trained the first network; the second has its initial weights."""
    with running(tmp_path_factory.mktemp("checkpoints")) as server:
        yield server


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(server.address)
        yield page
        browser.close()


@pytest.mark.browser
def test_a_one_and_a_zero_are_recognised(page: Page) -> None:
    verdict = page.locator("#verdict")
    page.click("#clear")
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(verdict).to_have_text("Both predict 1.")
    page.click("#clear")
    expect(verdict).to_have_text("")
    stroke(page, *ring())
    expect(verdict).to_have_text("Both predict 0.")
    page.click("#undo")
    expect(verdict).to_have_text("")


@pytest.mark.browser
def test_a_click_is_a_dot(page: Page) -> None:
    page.click("#clear")
    with page.expect_response("**/api/predict") as answered:
        page.click("#canvas")
    image = np.array(answered.value.json()["image"])
    assert 255 in image[9:19, 9:19]


@pytest.mark.browser
def test_answers_arrive_while_a_stroke_is_being_drawn(page: Page) -> None:
    page.click("#clear")
    box = page.locator("#canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    seen = set()
    for fraction in (0.3, 0.5, 0.7, 0.9):
        with page.expect_response("**/api/predict") as answered:
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * fraction, steps=4)
        response = answered.value.json()
        assert all("probabilities" in answer for answer in response["answers"].values())
        seen.add(str(response["image"]))
    page.mouse.up()
    assert len(seen) > 1, "the stroke grows between answers"
    expect(page.locator("#verdict")).to_have_text("Both predict 1.")


@pytest.mark.browser
def test_another_network_can_be_chosen(page: Page) -> None:
    page.reload()
    page.select_option("#model", "tf-model-1")
    expect(page.locator("#parameters")).to_have_text("101,770 parameters")
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(page.locator("#verdict")).not_to_have_text("")
    page.select_option("#model", "speedrun")
    expect(page.locator("#parameters")).to_have_text(f"{ZOO['speedrun'].spec.parameters:,} parameters")
    expect(page.locator("#verdict")).to_have_text("Both predict 1.")


@pytest.mark.browser
def test_a_wrong_digit_is_loaded_from_the_gallery(page: Page) -> None:
    page.select_option("#label", "4")
    page.select_option("#predicted", "9")
    first = page.locator("#digits button").first
    expect(first).to_contain_text("a 4, predicted 9")
    total = page.locator("#total").text_content()
    page.check("#one-only")
    expect(page.locator("#total")).not_to_have_text(
        total or ""
    )  # the list is replaced at the same time as it
    expect(page.locator("#total")).to_contain_text("test digits.")
    page.click("#clear")
    expect(page.locator("#verdict")).to_have_text("")
    index = first.get_attribute("data-index")
    first.click()
    expect(page.locator("#verdict")).not_to_have_text("")
    seen = "c => c.getContext('2d').getImageData(0, 0, 28, 28).data.filter((_, at) => at % 4 === 0)"
    image = np.array(page.locator("#seen").evaluate(seen))
    digit = page.evaluate(f"fetch('api/digits/{index}').then(answer => answer.json())")
    np.testing.assert_array_equal(image.reshape(28, 28), digit["image"])


@pytest.mark.browser
def test_the_gallery_ignores_a_reply_that_a_later_filter_overtook(page: Page) -> None:
    held: list[Route] = []
    page.route("**/api/mistakes?*", lambda route: route.continue_() if held else held.append(route))
    page.select_option("#label", "4")
    page.select_option("#label", "5")
    first = page.locator("#digits button").first
    expect(first).to_contain_text("a 5,")
    with page.expect_response("**/api/mistakes?*label=4*"):
        held[0].continue_()
    page.evaluate("new Promise(done => setTimeout(done, 100))")  # the reply is read meanwhile
    expect(first).to_contain_text("a 5,")
    page.unroute("**/api/mistakes?*")


@pytest.mark.browser
def test_a_framework_that_dies_is_reported_and_restarted(page: Page, server: Server) -> None:
    page.click("#clear")
    script = str(ROOT / FRAMEWORKS["pytorch"].script)
    (process,) = [child for child in server.process.children() if script in child.cmdline()]
    process.kill()
    down = page.locator("#card-pytorch .down")
    expect(down).to_contain_text("restarting")
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(page.locator("#verdict")).to_have_text("TensorFlow predicts 1.")
    expect(down).to_have_text("")
    expect(page.locator("#verdict")).to_have_text("Both predict 1.")


@pytest.mark.browser
def test_it_can_be_drawn_on_with_the_keyboard(page: Page) -> None:
    page.reload()
    page.focus("#canvas")
    for _ in range(15):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#verdict")).to_have_text("Both predict 1.")
    with page.expect_request("**/api/predict") as sent:
        page.keyboard.press("Shift+ArrowDown")
    column = [row[70] for row in sent.value.post_data_json["picture"]]
    assert set(column[32:110]) == {255}, "the cursor is not in the picture"
    page.keyboard.press("Backspace")
    expect(page.locator("#verdict")).to_have_text("")


@pytest.mark.browser
@pytest.mark.parametrize("height, width", [(300, 500), (640, 320)])
def test_a_photo_of_dark_ink_on_paper_is_read_and_drawn_on(
    page: Page, mnist: Dataset, tmp_path: Path, height: int, width: int
) -> None:
    """Whatever its proportions. A stroke on it is dark as well, so it is seen."""
    paper = np.full((height, width), 215, np.uint8)
    paper[60:200, 90:230][cv2.resize(mnist.test.images[0], (140, 140)) > 100] = 40
    cv2.imwrite(str(tmp_path / "seven.png"), paper)
    page.click("#clear")
    page.set_input_files("#photo", tmp_path / "seven.png")
    expect(page.locator("#verdict")).to_have_text("Both predict 7.")
    before = page.locator("#seen").evaluate("c => c.toDataURL()")
    with page.expect_response("**/api/predict"):
        stroke(page, (0.1, 0.9), (0.9, 0.9))
    page.wait_for_function("old => document.getElementById('seen').toDataURL() !== old", arg=before)
    page.click("#clear")


def loaded(page: Page, file: Path) -> np.ndarray:
    """The image that the networks are given of a picture that is loaded."""
    page.click("#clear")
    with page.expect_response("**/api/predict") as answered:
        page.set_input_files("#photo", file)
    return np.array(answered.value.json()["image"])


@pytest.mark.browser
@pytest.mark.parametrize("ink, kind", [(0, "on_white"), (255, "clean")])
def test_ink_on_a_transparent_ground_is_as_on_paper(
    page: Page, mnist: Dataset, tmp_path: Path, ink: int, kind: str
) -> None:
    """Black ink as on white paper, white ink as on black: test_photos_are_recognised has 60 of each kind."""
    page.reload()
    for number, digit in enumerate(mnist.test.images[:4]):
        picture = np.full((photos.SIDE, photos.SIDE, 4), ink, np.uint8)
        picture[..., 3] = np.round(255 * photos.drawn(digit))
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        seen = loaded(page, tmp_path / f"{number}.png")
        expect(page.locator("#verdict")).to_have_text(f"Both predict {mnist.test.labels[number]}.")
        assert np.abs(seen - to_mnist(photos.photo(kind, digit, seed=number)).astype(int)).mean() < 4


@pytest.mark.browser
def test_a_coloured_photo_is_seen_in_its_colours(page: Page, mnist: Dataset, tmp_path: Path) -> None:
    """Red ink on green paper that is as bright; strokes have the colour of the ink."""
    photo = photos.photo("red_on_green", mnist.test.images[0], seed=1)
    cv2.imwrite(str(tmp_path / "seven.png"), photo[..., ::-1])
    loaded(page, tmp_path / "seven.png")
    expect(page.locator("#verdict")).to_have_text("Both predict 7.")
    before = page.locator("#seen").evaluate("c => c.toDataURL()")
    with page.expect_response("**/api/predict") as answered:
        stroke(page, (0.1, 0.95), (0.9, 0.95))
    page.wait_for_function("old => document.getElementById('seen').toDataURL() !== old", arg=before)
    sent = np.array(answered.value.request.post_data_json["picture"])
    assert np.ptp(sent, axis=2).max() > 100


SEVEN = '<path d="M20 20H80L45 85" fill="none" stroke="black" stroke-width="9"/>'


@pytest.mark.browser
@pytest.mark.parametrize(
    "size",
    ['viewBox="0 0 100 100"', 'viewBox="0 0 100 100" width="10" height="10"', 'width="100" height="100"', ""],
)
def test_an_svg_is_read(page: Page, tmp_path: Path, size: str) -> None:
    """With a size or without; a script in it does not run."""
    script = "<script>fetch('/api/models?from=svg')</script>"
    file = tmp_path / "seven.svg"
    file.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{SEVEN}{script}</svg>')
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    loaded(page, file)
    expect(page.locator("#verdict")).to_have_text("Both predict 7.")
    assert not [url for url in requests if "svg" in url]


@pytest.mark.browser
@pytest.mark.parametrize("name", ["text.png", "text.svg"])
def test_what_is_no_picture_is_named(page: Page, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no picture")
    page.click("#clear")
    page.set_input_files("#photo", tmp_path / name)
    expect(page.locator("#verdict")).to_contain_text(f"{name} is not a picture")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_is_accessible_and_fits(page: Page, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(page.locator("#verdict")).to_have_text("Both predict 1.")
    expect(page.locator("#digits button").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    violations = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in violations if rule["impact"] in ("serious", "critical")] == []


@pytest.mark.browser
@pytest.mark.parametrize("width, height", [(360, 640), (390, 844), (320, 568)])
def test_on_a_phone_the_answer_is_in_view_beside_the_drawing(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.reload()
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    verdict, canvas = page.locator("#verdict"), page.locator("#canvas")
    expect(verdict).to_have_text("Both predict 1.")
    above, below = canvas.bounding_box(), verdict.bounding_box()
    assert above
    assert below
    assert above["y"] >= 0
    assert above["y"] + above["height"] <= below["y"]
    assert below["y"] + below["height"] <= height
    page.set_viewport_size({"width": 1200, "height": 800})


@pytest.mark.browser
def test_the_gallery_names_outputs_that_are_no_digit(page: Page) -> None:
    """No recorded network has more than ten outputs, so the reply is made up."""
    row = {"model": "wide", "framework": "pytorch", "predicted": 12, "runs": 2, "of": 3}
    reply = {"total": 1, "digits": [{"index": 7, "label": 4, "predictions": [row]}]}
    page.route("**/api/mistakes?*", lambda route: route.fulfill(json=reply))
    page.select_option("#predicted", "none")
    first = page.locator("#digits button").first
    expect(first).to_contain_text("a 4, predicted no digit (output 12)")
    assert "wide in PyTorch: no digit (output 12) in 2 of 3 runs" in (first.get_attribute("title") or "")
    page.unroute("**/api/mistakes?*")


@pytest.mark.browser
def test_all_results_are_a_link_away(page: Page) -> None:
    page.reload()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.get_by_role("link", name="All results").click()
    expect(page.locator("#curves-chart svg")).to_be_visible()
    page.go_back()
    expect(page.locator("#canvas")).to_be_visible()
    assert faults == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_for_the_readme(page: Page, scheme: str, tmp_path: Path) -> None:
    """Renders the picture in the README with DEMO_PICTURES=docs pytest tests/demo/test_page.py."""
    folder = Path(os.environ.get("DEMO_PICTURES", tmp_path))
    page.set_viewport_size({"width": 1100, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    turn = [math.pi * step / 12 for step in range(13)]
    upper = [(0.42 + 0.2 * math.sin(angle), 0.33 - 0.15 * math.cos(angle)) for angle in turn]
    lower = [(0.42 + 0.22 * math.sin(angle), 0.65 - 0.17 * math.cos(angle)) for angle in turn]
    stroke(page, (0.3, 0.2), *upper, *lower, (0.28, 0.8))
    expect(page.locator("#verdict")).to_have_text("Both predict 3.")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=folder / f"demo-{scheme}.png")
    assert cv2.imread(str(folder / f"demo-{scheme}.png")).shape == (800, 1100, 3)


@pytest.fixture(scope="module")
def drawn(mnist: Dataset) -> np.ndarray:
    """1,000 test digits drawn five times as large, as the page sends drawings, and preprocessed again."""
    large = [
        cv2.resize(image, (140, 140), interpolation=cv2.INTER_CUBIC) for image in mnist.test.images[:1000]
    ]
    return np.stack([to_mnist(picture.astype(float)) for picture in large])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_digits_rendered_large_keep_their_predictions(
    framework: str, server: Server, mnist: Dataset, drawn: np.ndarray
) -> None:
    """At least 97 %."""
    entry = ZOO["speedrun"]
    state = checkpoint.read(checkpoint_path(server.checkpoints, "speedrun", framework)).state
    before, after = (
        worker.run(
            framework,
            "predict",
            images=entry.recipe.to_input(version),
            **{"spec": entry.spec, "optimizer": entry.recipe.optimizer, "state": state},
        ).argmax(axis=1)
        for version in (mnist.test.images[:1000], drawn)
    )
    assert (before == after).mean() >= 0.97


@pytest.fixture(scope="module")
def prepared_photos(mnist: Dataset) -> dict[str, np.ndarray]:
    """The first 60 test digits in each kind of photo, preprocessed."""
    return {
        kind: np.stack(
            [to_mnist(photos.photo(kind, digit, seed=n)) for n, digit in enumerate(mnist.test.images[:60])]
        )
        for kind in photos.KINDS
    }


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_photos_are_recognised(
    framework: str, server: Server, mnist: Dataset, prepared_photos: dict[str, np.ndarray]
) -> None:
    """At least 55 of the first 60 test digits in each kind of photo, and 59 of clean drawings."""
    entry = ZOO["speedrun"]
    state = checkpoint.read(checkpoint_path(server.checkpoints, "speedrun", framework)).state
    labels = mnist.test.labels[:60]
    predictions = worker.run(
        framework,
        "predict",
        images=entry.recipe.to_input(np.concatenate(list(prepared_photos.values()))),
        **{"spec": entry.spec, "optimizer": entry.recipe.optimizer, "state": state},
    ).argmax(axis=1)
    right = dict(zip(prepared_photos, (predictions.reshape(-1, 60) == labels).sum(axis=1), strict=True))
    assert right["clean"] >= 59, right
    assert min(right.values()) >= 55, right
