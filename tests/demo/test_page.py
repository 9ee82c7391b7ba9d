"""The demo as its users have it: real checkpoints, both frameworks' processes, a real browser.

Needs a Chromium of the system; where there is none these tests are skipped.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright
from support import worker

from common.cli.predict_server import checkpoint_path
from common.data.datasets import Dataset
from common.demo.preprocess import to_mnist
from common.frameworks import FRAMEWORKS
from common.model.zoo import ZOO
from common.training import checkpoint

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
browser_needed = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second network in both frameworks; the first one is trained by the demo itself."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for framework, about in FRAMEWORKS.items():
        words = ["--model", "tf-model-1", "--epochs", "1", "--results", str(folder / "results")]
        file = folder / f"second-{framework}"
        command = [sys.executable, str(ROOT / about.script), *words, "--save-model", str(file)]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def served(checkpoints: Path) -> Iterator[str]:
    """The address of a running demo. It finds no checkpoint, trains, and is then given the others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--port", str(port), "--checkpoints", str(checkpoints)]
    process = subprocess.Popen(
        [sys.executable, "-m", "common.demo", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Draw at"):
                break
        assert address in said[-1]
        assert sum(line.startswith("No checkpoint of") for line in said) == 2
        for framework in FRAMEWORKS:
            (checkpoints / f"second-{framework}").rename(
                checkpoint_path(checkpoints, "tf-model-1", framework)
            )
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}api/state") as answer:
                if answer.read().count(b"ready") == 2:
                    break
            assert time.monotonic() < until
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@pytest.fixture(scope="module")
def page(served: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(10_000)
        page.goto(served)
        yield page
        browser.close()


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """By mouse, through points in shares of the canvas."""
    box = page.locator("#canvas").bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def ring(steps: int = 16) -> list[tuple[float, float]]:
    angles = [2 * math.pi * step / steps for step in range(steps + 1)]
    return [(0.5 + 0.22 * math.sin(angle), 0.5 - 0.32 * math.cos(angle)) for angle in angles]


@browser_needed
def test_a_one_and_a_zero_are_told(page: Page) -> None:
    verdict = page.locator("#verdict")
    page.click("#clear")
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(verdict).to_have_text("Both say 1.")
    page.click("#clear")
    expect(verdict).to_have_text("")
    stroke(page, *ring())
    expect(verdict).to_have_text("Both say 0.")
    page.click("#undo")
    expect(verdict).to_have_text("")


@browser_needed
def test_a_click_is_a_dot(page: Page) -> None:
    page.click("#clear")
    with page.expect_response("**/api/predict") as answered:
        page.click("#canvas")
    image = np.array(answered.value.json()["image"])
    assert 255 in image[9:19, 9:19]


@browser_needed
def test_answers_come_within_300_milliseconds(page: Page) -> None:
    """The 95th percentile of 50 strokes, from the end of one to the answer to it; ten before them warm up."""
    seconds = []
    for number in range(60):
        if number % 5 == 0:
            page.click("#clear")
        shift = 0.02 * (number % 5)
        with page.expect_response("**/api/predict") as answered:
            stroke(page, (0.3 + shift, 0.2), (0.4 + shift, 0.8))
            begun = time.perf_counter()
        assert all("probabilities" in answer for answer in answered.value.json()["answers"].values())
        seconds.append(time.perf_counter() - begun)
    assert np.percentile(seconds[10:], 95) <= 0.3


@browser_needed
def test_another_network_can_be_chosen(page: Page) -> None:
    page.reload()
    page.select_option("#model", "tf-model-1")
    expect(page.locator("#parameters")).to_have_text("101,770 parameters")
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(page.locator("#verdict")).not_to_have_text("")
    page.select_option("#model", "speedrun")
    expect(page.locator("#parameters")).to_have_text(f"{ZOO['speedrun'].spec.parameters:,} parameters")
    expect(page.locator("#verdict")).to_have_text("Both say 1.")


@browser_needed
def test_a_wrong_digit_is_loaded_from_the_gallery(page: Page) -> None:
    page.select_option("#label", "4")
    page.select_option("#predicted", "9")
    first = page.locator("#digits button").first
    expect(first).to_contain_text("a 4, said to be 9")
    with page.expect_response("**/api/mistakes*one_only=yes*"):
        page.check("#one-only")
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


@browser_needed
def test_a_framework_that_dies_is_told_and_comes_back(page: Page, checkpoints: Path) -> None:
    page.click("#clear")
    subprocess.run(["pkill", "-9", "-f", f"pytorch.py --no-accel --serve {checkpoints}"], check=True)
    down = page.locator("#card-pytorch .down")
    expect(down).to_contain_text("PyTorch is restarting", timeout=5_000)
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(page.locator("#verdict")).to_have_text("TensorFlow says 1.")
    expect(down).to_have_text("", timeout=60_000)
    expect(page.locator("#verdict")).to_have_text("Both say 1.")


@browser_needed
def test_it_can_be_drawn_on_with_the_keyboard(page: Page) -> None:
    page.reload()
    page.focus("#canvas")
    for _ in range(16):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#verdict")).to_have_text("Both say 1.")
    page.keyboard.press("Backspace")
    expect(page.locator("#verdict")).to_have_text("")


@browser_needed
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
    expect(page.locator("#verdict")).to_have_text("Both say 7.")
    before = page.locator("#seen").evaluate("c => c.toDataURL()")
    with page.expect_response("**/api/predict"):
        stroke(page, (0.1, 0.9), (0.9, 0.9))
    page.wait_for_function("old => document.getElementById('seen').toDataURL() !== old", arg=before)
    page.click("#clear")


@browser_needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_is_accessible_and_fits(page: Page, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    stroke(page, (0.5, 0.15), (0.5, 0.85))
    expect(page.locator("#verdict")).to_have_text("Both say 1.")
    expect(page.locator("#digits button").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


@browser_needed
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_pictured(page: Page, scheme: str, tmp_path: Path) -> None:
    """The picture in the README is this one: DEMO_PICTURES=docs pytest tests/demo/test_page.py."""
    folder = Path(os.environ.get("DEMO_PICTURES", tmp_path))
    page.set_viewport_size({"width": 1100, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.reload()
    turn = [math.pi * step / 12 for step in range(13)]
    upper = [(0.42 + 0.2 * math.sin(angle), 0.33 - 0.15 * math.cos(angle)) for angle in turn]
    lower = [(0.42 + 0.22 * math.sin(angle), 0.65 - 0.17 * math.cos(angle)) for angle in turn]
    stroke(page, (0.3, 0.2), *upper, *lower, (0.28, 0.8))
    expect(page.locator("#verdict")).to_have_text("Both say 3.")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=folder / f"demo-{scheme}.png")
    assert cv2.imread(str(folder / f"demo-{scheme}.png")).shape == (800, 1100, 3)


@browser_needed
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_digits_rendered_large_keep_what_they_are_said_to_be(
    framework: str, served: str, checkpoints: Path, mnist: Dataset
) -> None:
    """At least 97 % of 1,000 test digits, drawn ten times as large and prepared again."""
    entry = ZOO["speedrun"]
    state = checkpoint.read(checkpoint_path(checkpoints, "speedrun", framework)).state
    images = mnist.test.images[:1000]
    large = [cv2.resize(image, (280, 280), interpolation=cv2.INTER_CUBIC) for image in images]
    again = np.stack([to_mnist(picture.astype(float)) for picture in large])
    said = [
        worker.run(
            framework,
            "predict",
            images=entry.recipe.to_input(part),
            **{"spec": entry.spec, "optimizer": entry.recipe.optimizer, "state": state},
        ).argmax(axis=1)
        for part in (images, again)
    ]
    assert (said[0] == said[1]).mean() >= 0.97
