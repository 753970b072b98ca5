"""Takes the pictures of the pages in docs/images/: `python docs/screenshots.py [URL]`, against a running service.

The service needs a database, and whoever runs this must be let in: what is to be seen is an account called "ada" that
the script makes, with a few predictions in its history.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Literal

import PIL.Image
from playwright.sync_api import Browser, BrowserContext, FormData, Page, StorageState, sync_playwright

FOLDER = Path(__file__).parent / "images"
SAMPLES = Path(__file__).parents[1] / "src" / "trigger_api" / "web" / "static" / "samples"
SIZES = {"desktop": (1100, 800), "phone": (375, 800)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NAME, PASSWORD = "ada", "a picture of a page"
_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Shot:
    """What is to be seen on a page.

    Attributes:
        path: of the page.
        shown: what has to be there before the picture is taken.
        act: what is done before that.
        guest: whether it is the page of somebody who is not logged in.
    """

    path: str
    shown: str = "main"
    act: Callable[[Page], None] = lambda page: None
    guest: bool = False


def _sample(page: Page) -> None:
    page.get_by_role("button", name="Use a sample").click()


def _talk(page: Page) -> None:
    """Stream the sample as a room, which goes on for as long as the page is open."""
    page.evaluate(
        """async (sample) => {
          const context = new OfflineAudioContext(1, 1, 16000);
          const audio = await context.decodeAudioData(await (await fetch(sample)).arrayBuffer());
          const samples = audio.getChannelData(0);
          const address = new URL("v1/trigger/stream?room=kitchen&rate=16000", location.href);
          address.protocol = "ws:";
          const socket = (window.socket = new WebSocket(address));
          await new Promise((open) => (socket.onopen = open));
          for (let start = 0; start < samples.length; start += 1280) {
            socket.send(Int16Array.from(samples.subarray(start, start + 1280), (sample) => 32767 * sample));
          }
        }""",
        page.locator("link[rel=stylesheet]").evaluate("link => link.href").replace("style.css", "samples/activate.ogg"),
    )
    page.locator("#rooms tbody tr").wait_for()


def _word(page: Page) -> None:
    page.route("**/v1/training?limit=10", lambda route: route.fulfill(json=_TRAINING))
    page.route("**/v1/training/1/events", lambda route: route.abort())
    page.reload()
    page.locator(".training").first.wait_for()
    page.locator("#training").scroll_into_view_if_needed()
    page.locator("#training").evaluate("section => section.scrollIntoView()")


_COMMON = {"created_at": "2026-01-01T09:00:00Z", "updated_at": "2026-01-01T09:05:00Z", "error": None}
_TRAINING = {
    "available": True, "advice": None, "next": None,
    "items": [
        {"id": "1", "status": "running", "progress": 0.62, "doing": "training", "word": "hey computer",
         "recordings": 12, "model": None, "version": None, **_COMMON},
        {"id": "2", "status": "done", "progress": 1, "doing": "", "word": "open sesame", "recordings": 0,
         "model": "open-sesame", "version": "1", **_COMMON},
    ],
}  # fmt: skip
SHOTS = {
    "home": Shot("/", "#models tbody tr"),
    "trigger": Shot("/trigger", ".mark", _sample),
    "training": Shot("/trigger", ".training", _word),
    "rooms": Shot("/rooms", "#detections li", _talk),
    "digits": Shot("/digits", ".chart", _sample),
    "emotions": Shot("/emotions", ".box", _sample),
    "objects": Shot("/objects", ".box", _sample),
    "entities": Shot("/entities", "mark", _sample),
    "history": Shot("/history", ".entry"),
    "account": Shot("/account", "#sessions tbody tr"),
    "log-in": Shot("/log-in", "form", guest=True),
    "sign-up": Shot("/sign-up", "form", guest=True),
    "reset": Shot("/account/reset?token=tar_", "form", guest=True),
    "upload-image": Shot("/upload-image", "form"),
}


def main(url: str = "http://127.0.0.1:8000", *names: str) -> None:
    """Take all of them, or those of some pages."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        state = _account(browser, url)
        for name, device, scheme in product(names or SHOTS, SIZES, SCHEMES):
            width, height = SIZES[device]
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme,
                storage_state=None if SHOTS[name].guest else state,
            )  # fmt: skip
            _save(_taken(context, url, SHOTS[name]), FOLDER / f"{name}-{device}-{scheme}.webp")
            context.close()
        browser.close()


def _account(browser: Browser, url: str) -> StorageState:
    """The cookies of an account with a history; it is made where there is none."""
    context = browser.new_context()
    json = {"name": NAME, "password": PASSWORD}
    made = context.request.post(f"{url}/v1/accounts", data=json, headers=_ORIGIN).ok
    context.request.post(f"{url}/v1/sessions", data=json, headers=_ORIGIN)
    if made:
        for task, field, sample in (
            ("objects", "image", "scene.jpg"), ("emotions", "image", "faces.jpg"), ("digits", "image", "note.jpg"),
            ("trigger", "audio", "activate.ogg"),
        ):  # fmt: skip
            form = FormData()
            form.append(field, SAMPLES / sample)
            context.request.post(f"{url}/v1/{task}?save=true", multipart=form, headers=_ORIGIN)
        token: dict[str, object] = {"name": "kitchen", "scopes": ["stream"], "days": 90}
        context.request.post(f"{url}/v1/tokens", data=token, headers=_ORIGIN)
    state = context.storage_state()
    context.close()
    return state


def _taken(context: BrowserContext, url: str, shot: Shot) -> bytes:
    page = context.new_page()
    page.goto(f"{url}{shot.path}")
    shot.act(page)
    page.locator(shot.shown).first.wait_for()
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)  # nothing is focused or pointed at
    page.wait_for_timeout(500)  # bars grow, and a player finds out how long its recording is
    return page.screenshot()


def _save(png: bytes, path: Path) -> None:
    """Save a picture in few bytes."""
    PIL.Image.open(BytesIO(png)).convert("RGB").save(path, quality=70, method=6)


if __name__ == "__main__":
    main(*sys.argv[1:])
