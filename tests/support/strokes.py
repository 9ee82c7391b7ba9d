"""Strokes on the demo's canvas."""

from __future__ import annotations

import math

from playwright.sync_api import Page


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """Draw by mouse, through points in fractions of the canvas."""
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
