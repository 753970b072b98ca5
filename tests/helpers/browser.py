"""Pages in a real browser: the system's Chromium, driven by Playwright, with a microphone and a camera of files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import PIL.Image
import skimage.data
import soundfile
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parents[2]
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_FAKE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
_PATIENCE_MS = 30_000
_CAMERA = (640, 480)


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """The browser. Its microphone hears the word over and over, and its camera sees a face."""
    say(folder / "said.wav")
    photo().save(folder / "face.png")
    film(folder / "face.y4m")
    devices = (
        *_FAKE,
        f"--use-file-for-fake-audio-capture={folder / 'said.wav'}",
        f"--use-file-for-fake-video-capture={folder / 'face.y4m'}",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, *devices])
        yield browser
        browser.close()


class Visit:
    """A page, everything that it asked for, and everything that went wrong on it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.faults: list[str] = []
        page.set_default_timeout(_PATIENCE_MS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)

    def go(self, path: str) -> Page:
        """Open a page of the service."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    @property
    def foreign(self) -> list[str]:
        """Requests to other hosts."""
        own = urlsplit(self.url).netloc
        asked = [url for url in self.requests if not url.startswith(("blob:", "data:"))]
        return [url for url in asked if urlsplit(url).netloc != own]


@contextmanager
def visit(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """A new visitor, without cookies. What went wrong on the pages fails the test."""
    context = browser.new_context(**{"permissions": ["clipboard-read", "clipboard-write"], **options})
    visitor = Visit(context.new_page(), url)
    yield visitor
    context.close()
    assert not visitor.faults
    assert not visitor.foreign


def say(path: Path) -> None:
    """A recording with the word, of which a fake microphone makes a loop."""
    samples, rate = soundfile.read(ROOT / "samples" / "activate.wav", dtype="int16")
    soundfile.write(path, samples, rate)


def photo() -> PIL.Image.Image:
    """A photo with one face."""
    return PIL.Image.fromarray(skimage.data.astronaut()).resize((_CAMERA[1], _CAMERA[1]))


def film(path: Path) -> None:
    """A clip of one frame in YUV 4:2:0, the photo in the middle, of which a fake camera makes a loop."""
    frame = PIL.Image.new("RGB", _CAMERA, (90, 100, 110))
    frame.paste(photo(), ((_CAMERA[0] - _CAMERA[1]) // 2, 0))
    luma, *chroma = np.asarray(frame.convert("YCbCr")).transpose(2, 0, 1)
    halves = [np.ascontiguousarray(plane[::2, ::2]) for plane in chroma]
    head = f"YUV4MPEG2 W{_CAMERA[0]} H{_CAMERA[1]} F30:1 Ip A1:1 C420jpeg\n".encode()
    planes = b"".join(plane.tobytes() for plane in (luma, *halves))
    path.write_bytes(head + b"FRAME\n" + planes)
