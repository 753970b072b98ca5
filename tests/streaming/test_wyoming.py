from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient, AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.wake import Detect, Detection, NotDetected

from helpers.beep import BeepModel, add_model, trigger_card
from helpers.live_server import silence, word
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.cli import main
from trigger_api.observability.metrics import Metrics
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.streaming import wyoming
from trigger_api.streaming.wyoming import _is_allowed, serving


@pytest.fixture
async def service(settings: Settings, models: Path, network: BeepModel) -> AsyncIterator[Service]:
    add_model(models, trigger_card("hey-jarvis").model_copy(update={"labels": ("hey jarvis",)}))
    changed = settings.model_copy(update={"stream_idle_s": 0.5})
    made = Service(changed, Metrics(), loader=lambda path, card: network)
    made.registry.load_all()
    await made.rooms.start()
    yield made
    await made.close()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncTcpClient]:
    async with serving("tcp://127.0.0.1:0", service.rooms, service.settings) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncTcpClient("127.0.0.1", port) as made:
            yield made


async def say(client: AsyncClient, *events: Eventable) -> None:
    for event in events:
        await client.write_event(event.event())


async def next_event(client: AsyncClient) -> Event | None:
    return await asyncio.wait_for(client.read_event(), 10)


def chunks(audio: bytes, rate: int = 16_000, width: int = 2, channels: int = 1) -> list[AudioChunk]:
    return [AudioChunk(rate, width, channels, audio[start : start + 2048]) for start in range(0, len(audio), 2048)]


async def test_describe(client: AsyncTcpClient) -> None:
    await say(client, Describe())
    event = await next_event(client)
    assert event is not None
    (program,) = Info.from_event(event).wake
    found = [(model.name, model.phrase, model.version, model.installed) for model in program.models]
    assert found == [("beep", "beep", "1", True), ("hey-jarvis", "hey jarvis", "1", True)]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (None, ["beep", "hey-jarvis"]),
        ([], ["beep", "hey-jarvis"]),
        (["Hey_Jarvis"], ["Hey_Jarvis"]),
        (["hey jarvis", "hey-jarvis", "BEEP"], ["hey jarvis", "BEEP"]),
    ],
)
async def test_every_word_or_those_that_are_named_as_they_are_named(
    client: AsyncTcpClient, names: list[str] | None, told: list[str]
) -> None:
    await say(client, Detect(names=names), AudioStart(16_000, 2, 1), *chunks(word()), AudioStop(), Describe())
    found = []
    while (event := await next_event(client)) is not None and not Info.is_type(event.type):
        found.append(Detection.from_event(event).name)
    assert found == told


@pytest.mark.slow
async def test_a_word_and_then_no_word_on_one_connection(client: AsyncTcpClient) -> None:
    await say(client, Detect(names=["beep"]), AudioStart(16_000, 2, 1), *chunks(word(8)), AudioStop())
    event = await next_event(client)
    assert event is not None
    detection = Detection.from_event(event)
    assert detection.name == "beep"
    assert detection.timestamp == pytest.approx(7_310, abs=40)

    await say(client, AudioStart(16_000, 2, 1), *chunks(silence(1)), AudioStop())
    event = await next_event(client)
    assert event is not None
    assert NotDetected.is_type(event.type)


async def test_a_detection_is_sent_while_audio_arrives(client: AsyncTcpClient) -> None:
    await say(client, *chunks(word()))  # a satellite that leaves the start out
    event = await next_event(client)
    assert event is not None
    assert Detection.is_type(event.type)


async def test_other_widths_channels_and_rates(client: AsyncTcpClient) -> None:
    wide = np.frombuffer(word(rate=48_000), "<i2").astype("<i4") << 16
    stereo = np.repeat(wide // 2, 2).tobytes()
    await say(client, AudioStart(48_000, 4, 2), *chunks(stereo, 48_000, 4, 2), AudioStop())
    event = await next_event(client)
    assert event is not None
    assert Detection.from_event(event).timestamp == pytest.approx(810, abs=40)


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([Detect(names=["nix"])], "unknown_model"),
        ([Detect(names=["beep", "nix"])], "unknown_model"),
        ([AudioStart(96_000, 2, 1)], "unprocessable"),
        ([AudioChunk(16_000, 3, 1, b"abc")], "unprocessable"),
        ([AudioChunk(16_000, 2, 7, b"ab")], "unprocessable"),
        ([AudioChunk(16_000, 2, 1, b"abc")], "unprocessable"),
    ],
)
async def test_invalid_audio_is_reported(client: AsyncTcpClient, events: list[Any], code: str) -> None:
    await say(client, *events)
    event = await next_event(client)
    assert event is not None
    assert Error.from_event(event).code == code
    assert await next_event(client) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"[]\n",
        b"{}\n",
        b'{"type": "audio-chunk"}\n',
        b'{"type": "audio-start", "data": {"rate": "x", "width": 2, "channels": 1}}\n',
        b'{"type": "audio-chunk", "payload_length": 1000000000}\n',
        b"x" * 100_000,
        b"",
    ],
)
async def test_nonsense_and_silence_are_hung_up_on(service: Service, nonsense: bytes) -> None:
    async with serving("tcp://127.0.0.1:0", service.rooms, service.settings) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(nonsense)
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert service.rooms.rooms() == []


@pytest.mark.slow
async def test_a_quiet_satellite_stays_connected(client: AsyncTcpClient) -> None:
    await say(client, Describe())
    assert await next_event(client) is not None
    await asyncio.sleep(1)  # twice as long as an event may take
    await say(client, AudioStart(16_000, 2, 1), *chunks(silence(0.5)))
    await asyncio.sleep(1)
    await say(client, *chunks(word()), AudioStop())
    event = await next_event(client)
    assert event is not None
    assert Detection.is_type(event.type)


@pytest.mark.parametrize("half", [b'{"type": "desc', b'{"type": "audio-chunk", "data_length": 10}\n{"ra'])
async def test_half_an_event_is_not_waited_for(client: AsyncTcpClient, half: bytes) -> None:
    await say(client, Describe())
    assert await next_event(client) is not None
    assert client._writer is not None
    client._writer.write(half)
    assert await asyncio.wait_for(client.read_event(), 5) is None


async def test_the_kernel_asks_whether_a_quiet_peer_lives(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    original = wyoming._keep_alive

    def spy(writer: asyncio.StreamWriter) -> None:
        original(writer)
        connection = writer.get_extra_info("socket")
        asked.append(bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))

    monkeypatch.setattr(wyoming, "_keep_alive", spy)
    async with serving("tcp://127.0.0.1:0", service.rooms, service.settings) as server:
        client = AsyncTcpClient("127.0.0.1", server.sockets[0].getsockname()[1])
        async with client:
            await say(client, Describe())
            await next_event(client)
    assert asked == [True]


async def test_peers_are_counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "settings", service.settings.model_copy(update={"max_streams": 1}))
    async with serving("tcp://127.0.0.1:0", service.rooms, service.settings) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncTcpClient("127.0.0.1", port) as first, AsyncTcpClient("127.0.0.1", port) as second:
            event = await next_event(second)
            assert event is not None
            assert Error.from_event(event).code == "overloaded"
            await say(first, Describe())
            assert await next_event(first) is not None


async def test_a_unix_socket(service: Service, tmp_path: Path) -> None:
    async with (
        serving(f"unix://{tmp_path}/w", service.rooms, service.settings),
        AsyncClient.from_uri(f"unix://{tmp_path}/w") as client,
    ):
        await say(client, Describe())
        assert await next_event(client) is not None


async def test_other_addresses_are_refused(service: Service) -> None:
    for uri in ("http://localhost:1", "tcp://localhost", "unix://"):
        with pytest.raises(ValueError, match="tcp://host:port"):
            async with serving(uri, service.rooms, service.settings):
                pass


async def test_nobody_enters_where_a_token_is_required(service: Service) -> None:
    required = service.settings.model_copy(update={"auth": "required"})
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving("tcp://127.0.0.1:0", service.rooms, required))
        port = server.sockets[0].getsockname()[1]
        client = await stack.enter_async_context(AsyncTcpClient("127.0.0.1", port))
        event = await next_event(client)
        assert event is not None
        assert "token" in Error.from_event(event).text
        assert await next_event(client) is None


def test_only_private_peers_enter(settings: Settings) -> None:
    assert _is_allowed("192.168.1.7", settings)
    assert _is_allowed("fe80::1%eth0", settings)
    assert _is_allowed("", settings)
    assert not _is_allowed("8.8.8.8", settings)
    assert _is_allowed("8.8.8.8", settings.model_copy(update={"auth": "open"}))


async def test_serve_speaks_it_too(settings: Settings, network: BeepModel, tmp_path: Path) -> None:
    changed = settings.model_copy(update={"wyoming_uri": f"unix://{tmp_path}/w"})
    app = create_app(changed, loader=lambda path, card: network)
    async with started(app), AsyncClient.from_uri(f"unix://{tmp_path}/w") as client:
        await say(client, *chunks(word()), AudioStop())
        event = await next_event(client)
        assert event is not None
        assert Detection.is_type(event.type)


@pytest.mark.slow
def test_the_command_serves_until_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trigger_api", "wyoming", "--uri", f"unix://{tmp_path}/w"]
    environment = {**os.environ, "TRIGGER_API_MAX_BATCH": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        while b"serving Wyoming" not in process.stderr.readline():
            assert process.poll() is None
        asyncio.run(describe(f"unix://{tmp_path}/w"))
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(60) == 0


async def describe(uri: str) -> None:
    async with AsyncClient.from_uri(uri) as client:
        await say(client, Describe())
        event = await next_event(client)
        assert event is not None
        assert Info.from_event(event).wake[0].models[0].name == "activate"


@pytest.mark.parametrize(
    ("command", "words"),
    [(["wyoming", "--uri", "ftp://x"], "tcp://host:port"), (["serve", "--workers", "2"], "a single worker")],
)
def test_invalid_options_are_reported(monkeypatch: pytest.MonkeyPatch, command: list[str], words: str) -> None:
    monkeypatch.setenv("TRIGGER_API_WYOMING_URI", "tcp://127.0.0.1:10400")
    result = CliRunner().invoke(main.app, command)
    assert (result.exit_code, words in result.output) == (2, True)
