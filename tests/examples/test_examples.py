"""Every file in examples/ runs against a server, as its reader would run it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.beep import BeepModel, beeps
from helpers.encoded import encoded
from helpers.live_server import Server, answer, running, stop
from helpers.running import serving
from helpers.service_process import free_port
from trigger_api.app import create_app
from trigger_api.registry import BUNDLED
from trigger_api.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples"
BROWSER = EXAMPLES / "browser"
PAGE_ORIGIN = "http://127.0.0.1:8080"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with the bundled trigger word and digits."""
    models = (BUNDLED / "trigger", BUNDLED / "digits")
    with serving(create_app(Settings(models=models, bundled=False, max_batch=1, log_level="error")), 60) as address:
        yield address


def run(address: str, *command: str) -> str:
    environment = {**os.environ, "TRIGGER_URL": f"http://{address}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


def python(address: str, script: str) -> str:
    return run(address, sys.executable, str(EXAMPLES / script))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("words", [[], ["activate"], ["activate", "*"]])
def test_detect_with_curl(address: str, words: list[str]) -> None:
    sample = EXAMPLES.parent / "samples" / "activate.wav"
    found = json.loads(run(address, "sh", str(EXAMPLES / "detect.sh"), *([str(sample), *words] if words else [])))
    assert found["timestamps"] == pytest.approx([2_200], abs=120)


def test_detect_with_requests(address: str) -> None:
    assert re.fullmatch(r"activate at 2\.\d\d s, score 0\.\d{3}\n", python(address, "detect_requests.py"))


def test_detect_with_httpx(address: str) -> None:
    lines = python(address, "detect_httpx.py").splitlines()
    assert [bool(re.search(r"\[\d+\]$", line)) for line in lines] == [True, False]


@pytest.mark.slow
def test_stream(address: str) -> None:
    messages = python(address, "stream.py")
    assert messages.count("'type': 'detection'") == 1
    assert messages.splitlines()[-1].startswith("{'type': 'stopped'")


def test_infer_with_tritonclient(address: str) -> None:
    pytest.importorskip("tritonclient.http")
    assert re.fullmatch(r"1 with a probability of [01]\.\d\d\n", python(address, "infer_tritonclient.py"))


@pytest.fixture
async def beep_server(settings: Settings, network: BeepModel) -> AsyncIterator[Server]:
    """A server whose word is a beep; it lets the example's page in."""
    allowed = settings.model_copy(update={"cors_origins": (PAGE_ORIGIN,), "log_level": "warning"})
    async with running(create_app(allowed, loader=lambda path, card: network)) as server:
        yield server


_BROWSER_SCRIPT = """
import { readFileSync } from "node:fs";
const sent = [];
globalThis.WebSocket = class {
  readyState = 1;
  constructor(url, protocols) { sent.push({ url, protocols }); }
  send(data) { sent.push(typeof data === "string" ? data : Buffer.from(data).toString("base64")); }
};
const { Stream } = await import(process.argv[1]);
const recording = readFileSync(0);
const query = { room: "browser", word: "*", token: "a-token", onOpen() {}, onMessage() {}, onClose() {} };
const stream = new Stream(process.argv[2], query);
for (let start = 0; start < recording.length; start += 1000) stream.send(recording.subarray(start, start + 1000));
stream.stop();
console.log(JSON.stringify(sent));
"""


@needs_node
async def test_what_the_browser_sends_is_heard(beep_server: Server) -> None:
    """The page's module runs in node; what it gives its WebSocket goes through a real one."""
    command = ["node", "--input-type=module", "-e", _BROWSER_SCRIPT, "--", str(BROWSER / "stream.js")]
    url = f"http://127.0.0.1:{beep_server.port}"
    recording = encoded(beeps([1.0], seconds=1.5, rate=48_000)[:, None], 48_000, "webm", "libopus", live="1")
    done = await asyncio.to_thread(subprocess.run, [*command, url], input=recording, capture_output=True, check=True)
    opened, *frames, last = json.loads(done.stdout)
    assert opened["protocols"] == ["trigger-api", "bearer.a-token"]
    assert last == '{"type": "stop"}'
    query = opened["url"].partition("?")[2]
    async with beep_server.stream(query, origin=PAGE_ORIGIN, subprotocols=["trigger-api"]) as socket:
        assert (await answer(socket))["room"] == "browser"
        for frame in frames:
            await socket.send(base64.b64decode(frame))
        kinds = [message["type"] for message in await stop(socket)]
    assert kinds == ["detection", "stopped"]


@needs_node
@pytest.mark.parametrize("script", sorted(path.name for path in BROWSER.glob("*.js")))
def test_the_browser_can_parse_each_script(script: str) -> None:
    source = (BROWSER / script).read_text(encoding="utf-8")
    subprocess.run(["node", "--input-type=module", "--check"], input=source, text=True, check=True)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := found.get(name))]
        self.ids |= {found.get("id") or ""}


def test_the_browser_page_loads_only_files_beside_it() -> None:
    page = _Page()
    page.feed((BROWSER / "index.html").read_text(encoding="utf-8"))
    script = (BROWSER / "page.js").read_text(encoding="utf-8")
    imported = re.findall(r'from "\./(.*?)"|addModule\("(.*?)"\)', script)
    files = {*page.loads, *(name for pair in imported for name in pair if name)}
    assert files == {path.name for path in BROWSER.iterdir()} - {"index.html", "README.md"}
    assert set(re.findall(r'getElementById\("(.*?)"\)', script)) <= page.ids


async def test_the_compose_file_of_home_assistant_serves_wyoming(settings: Settings, network: BeepModel) -> None:
    pytest.importorskip("wyoming")
    from wyoming.client import AsyncTcpClient
    from wyoming.info import Describe, Info

    service = yaml.safe_load((EXAMPLES / "home-assistant" / "compose.yaml").read_text("utf-8"))["services"][
        "trigger-api"
    ]
    named: dict[str, Any] = {
        name.removeprefix("TRIGGER_API_").lower(): value for name, value in service["environment"].items()
    }
    assert named["wyoming_uri"] == "tcp://0.0.0.0:10400"
    assert "10400:10400" in service["ports"]
    port = free_port()
    changed = settings.model_dump(exclude_unset=True) | named | {"wyoming_uri": f"tcp://127.0.0.1:{port}"}
    app = create_app(Settings(**changed), loader=lambda path, card: network)
    async with running(app), AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
    assert event
    assert [model.name for program in Info.from_event(event).wake for model in program.models] == ["beep"]
