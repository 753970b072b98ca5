"""A service with all bundled models and accounts, and a browser, for all tests of pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from helpers.browser import CHROMIUM, ROOT, Visit, chromium, visit
from helpers.prefix_proxy import stripping_proxy
from helpers.service_process import service_process


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie that pages are given."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def browser(folder: Path) -> Iterator[Browser]:
    """Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with chromium(folder) as made:
        yield made


@pytest.fixture(scope="session")
def another_site() -> Iterator[str]:
    """A server of another origin, with the example of a page that calls the service."""
    handler = partial(QuietHandler, directory=str(ROOT / "examples" / "another-site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def url(folder: Path, browser: Browser, another_site: str) -> Iterator[str]:
    """The service."""
    env = {
        "TRIGGER_API_DATABASE_URL": f"sqlite:///{folder}/database.sqlite3",
        "TRIGGER_API_CORS_ORIGINS": another_site,
        "TRIGGER_API_TRAINING_FOLDER": str(folder / "words"),
    }
    with service_process("serve", env=env) as url:
        yield url


@pytest.fixture(scope="session")
def prefixed(folder: Path, browser: Browser) -> Iterator[str]:
    """A service behind a proxy that serves it below a prefix; its address, with the prefix."""
    env = {"TRIGGER_API_DATABASE_URL": f"sqlite:///{folder}/prefixed.sqlite3", "TRIGGER_API_ROOT_PATH": "/speech"}
    with service_process("serve", env=env) as url, stripping_proxy(url, "/speech") as address:
        yield address


@pytest.fixture
def visitor(browser: Browser, url: str) -> Iterator[Visit]:
    """Somebody at a desk."""
    with visit(browser, url) as made:
        yield made


@pytest.fixture
def on_the_phone(browser: Browser, url: str) -> Iterator[Visit]:
    """Somebody with a phone, in the dark."""
    phone = {"viewport": {"width": 375, "height": 700}, "has_touch": True, "color_scheme": "dark"}
    with visit(browser, url, **phone) as made:
        yield made
