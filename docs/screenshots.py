"""Takes the pictures of the pages in docs/images/: `python docs/screenshots.py [URL]`, against a running service."""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path
from typing import Literal

import PIL.Image
from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).parent / "images"
WIDTHS = {"desktop": 1100, "phone": 375}
# The page, what is to be seen on it before the picture is taken, on what, and in which colours.
SHOTS: tuple[tuple[str, str, str, Literal["light", "dark"]], ...] = (
    ("trigger", ".mark", "desktop", "light"),
    ("digits", ".chart", "desktop", "dark"),
    ("entities", "mark", "phone", "light"),
    ("objects", ".box", "phone", "dark"),
)


def main(url: str = "http://127.0.0.1:8000") -> None:
    """Take all of them."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, shown, device, scheme in SHOTS:
            _save(_shot(browser, f"{url}/{name}", shown, WIDTHS[device], scheme), FOLDER / f"{name}.png")
        browser.close()


def _shot(browser: Browser, url: str, shown: str, width: int, scheme: Literal["light", "dark"]) -> bytes:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(url)
    page.get_by_role("button", name="Use a sample").click()
    page.locator(shown).first.wait_for()
    page.locator("h1").click()  # nothing is focused or pointed at
    page.wait_for_timeout(500)  # bars grow, and a player finds out how long its recording is
    taken = page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": 800})
    page.close()
    return taken


def _save(png: bytes, path: Path) -> None:
    """Save a picture in few colours: those of a page."""
    PIL.Image.open(BytesIO(png)).convert("RGB").quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
