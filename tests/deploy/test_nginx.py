"""The real nginx in front of two nodes and PostgreSQL: limits, streams, addresses, crashes and restarts."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from helpers.live_server import answer, say, silence, stop
from helpers.nginx import Nginx, Node, needs_nginx
from helpers.people import PASSWORD
from helpers.postgresql import Cluster

pytestmark = [pytest.mark.slow, needs_nginx]

SAMPLE = Path(__file__).parents[2] / "samples" / "activate.wav"
TOKEN = {"X-Api-Token": "of-the-settings"}


@pytest.fixture(scope="module")
def nodes(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two nodes with one database; they accept connections once they are ready."""
    folder = tmp_path_factory.mktemp("nodes")
    settings = {
        "TRIGGER_API_DATABASE_URL": cluster.create_database(),
        "TRIGGER_API_TOKENS": TOKEN["X-Api-Token"],
        "TRIGGER_API_SIGN_UP": "open",
        "TRIGGER_API_LISTEN_WHEN_READY": "true",
        "TRIGGER_API_ROOT_PATH": "/speech",
        "TRIGGER_API_LOG_LEVEL": "warning",
    }
    made = [Node(folder / f"log-{number}", **settings) for number in range(2)]
    try:
        for each in made:
            each.start()
        for each in made:
            each.wait_until_ready()
        yield made
    finally:
        for each in made:
            each.stop()


@pytest.fixture(scope="module")
def nginx(nodes: list[Node], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    ports = [each.port for each in nodes]
    made = Nginx(tmp_path_factory.mktemp("nginx"), ports, extra="rewrite ^/speech(/.*)$ $1;\n")
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def client(nginx: Nginx) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=nginx.url, headers=TOKEN, timeout=30) as made:
        yield made


async def ask(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post("/v1/trigger", files={"audio": SAMPLE.read_bytes()}, **more)


async def test_a_prediction_passes(client: httpx.AsyncClient) -> None:
    assert (await ask(client)).json()["timestamps"] == pytest.approx([2200], abs=120)


@pytest.mark.parametrize("path", ["/v1/trigger", "/v2/models/activate/infer", "/v1/jobs/x"])
async def test_an_upload_that_is_too_large_is_refused_in_our_words(client: httpx.AsyncClient, path: str) -> None:
    ours = (await client.post(path, headers={"X-Api-Token": "unknown"})).json()
    refused = await client.post(path, content=bytes(34 * 2**20), headers={"X-Request-ID": "too-large"})
    assert refused.status_code == 413
    expected = "application/json" if path.startswith("/v2") else "application/problem+json"
    assert refused.headers["Content-Type"] == expected
    assert refused.headers["X-Request-ID"] == refused.json()["request_id"] == "too-large"
    assert refused.json().keys() == ours.keys()
    assert (refused.json()["status"], refused.json()["success"]) == (413, False)


async def test_a_chunked_upload_without_end_is_refused(client: httpx.AsyncClient, nginx: Nginx) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(2**20)

    refused = await client.post("/v1/digits", content=pieces())
    assert (refused.status_code, refused.json()["success"]) == (413, False)
    assert nginx.logged(refused.json()["request_id"])["node"] == ""  # no node has seen it


async def test_what_is_no_request_is_refused_in_our_words(nginx: Nginx) -> None:
    for head, status in ((b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
                         (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 80_000 + b"\r\n\r\n", 431)):  # fmt: skip
        reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
        writer.write(head)
        reply = await reader.read()
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["status"] == status
        assert f" {status} ".encode() in reply.splitlines()[0]
        writer.close()


async def test_metrics_are_not_public(client: httpx.AsyncClient) -> None:
    hidden = await client.get("/metrics")
    assert (hidden.status_code, hidden.json()["success"]) == (404, False)


async def test_a_stream_and_its_events_pass_as_they_come(nginx: Nginx, client: httpx.AsyncClient) -> None:
    url = f"{nginx.url.replace('http', 'ws')}/v1/trigger/stream?room=kitchen&rate=44100"
    async with (
        client.stream("GET", "/v1/trigger/events?room=kitchen") as events,
        websockets.connect(url, compression=None, additional_headers=TOKEN) as socket,
    ):
        lines = events.aiter_lines()
        assert await anext(lines) == ": listening"  # at once: nothing is held back
        assert (await answer(socket))["type"] == "ready"
        await say(socket, SAMPLE.read_bytes()[44:])
        assert (await answer(socket))["type"] == "detection"  # while the stream is open
        async with asyncio.timeout(30):
            data = [line async for line in until_data(lines)]
        assert json.loads(data[-1].removeprefix("data:"))["word"] == "activate"
        await say(socket, silence(0.5, 44_100))
        assert [each["type"] for each in await stop(socket)] == ["stopped"]


async def until_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line.startswith("data:"):
            return


async def test_the_prefix_is_stripped_and_named_in_links(client: httpx.AsyncClient) -> None:
    assert (await client.get("/speech/v1/models")).json() == (await client.get("/v1/models")).json()
    assert "/speech/static/" in (await client.get("/speech/trigger")).text
    document = (await client.get("/speech/openapi.json")).json()
    assert document["servers"] == [{"url": "/speech"}]


async def test_the_address_of_a_client_is_its_own(nginx: Nginx) -> None:
    """What it says of itself counts neither in the log of nginx nor in the service."""
    forged = {
        "X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7", "Forwarded": "for=198.51.100.7",
        "X-Forwarded-Proto": "http",
    }  # fmt: skip
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    transport = httpx.AsyncHTTPTransport(verify=trusting, local_address="127.0.0.9")
    url = f"https://localhost:{nginx.tls_port}"
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=forged, timeout=30) as client:
        account = {"name": "ada", "password": PASSWORD}
        assert (await client.post("/v1/accounts", json=account)).status_code == 201
        logged_in = await client.post("/v1/sessions", json=account)
        assert "__Host-" in logged_in.headers["Set-Cookie"]  # the scheme is right, too
        assert logged_in.json()["address"] == "127.0.0.9"
        assert nginx.logged(logged_in.headers["X-Request-ID"])["client"] == "127.0.0.9"


async def test_connections_to_nodes_are_kept_and_shared_out(
    nginx: Nginx, nodes: list[Node], client: httpx.AsyncClient
) -> None:
    before = connections(nodes)
    answers = await asyncio.gather(*(ask(client) for _ in range(16)))
    for _ in range(60):
        assert (await client.get("/v1/models")).status_code == 200
    assert len(connections(nodes) - before) <= 16
    asked = {nginx.logged(each.headers["X-Request-ID"])["node"] for each in answers}
    assert asked == {f"127.0.0.1:{node.port}" for node in nodes}


def connections(nodes: list[Node]) -> set[str]:
    """The local ends of all connections to nodes, closed ones of the last minute included."""
    ports = {f"{node.port:04X}" for node in nodes}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[2].rpartition(":")[2] in ports}


async def test_a_node_that_is_killed_and_restarted_loses_no_request(
    nodes: list[Node], client: httpx.AsyncClient
) -> None:
    async with load(client) as statuses:
        await answered(statuses, 20)
        nodes[0].kill()
        await answered(statuses, 40)
        nodes[0].start()
        await asyncio.to_thread(nodes[0].wait_until_ready)
        await answered(statuses, 40)
    assert set(statuses) == {200}


async def test_a_rolling_restart_fails_no_request(nodes: list[Node], client: httpx.AsyncClient) -> None:
    async with load(client) as statuses:
        for node in nodes:
            await answered(statuses, 20)
            await asyncio.to_thread(node.stop)
            node.start()
            await asyncio.to_thread(node.wait_until_ready)
            await asyncio.sleep(3)  # until nginx asks it again
    assert set(statuses) == {200}


@asynccontextmanager
async def load(client: httpx.AsyncClient) -> AsyncIterator[list[int]]:
    """Two clients that predict and two that read, during the block; the statuses of their answers."""
    statuses: list[int] = []
    over = asyncio.Event()

    async def loop(read: bool) -> None:
        while not over.is_set():
            reply = await (client.get("/v1/models") if read else ask(client))
            statuses.append(reply.status_code)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(loop(number % 2 == 0))
        try:
            yield statuses
        finally:
            over.set()


async def answered(statuses: list[int], count: int) -> None:
    """Wait for so many more answers."""
    wanted = len(statuses) + count
    async with asyncio.timeout(60):
        while len(statuses) < wanted:
            await asyncio.sleep(0.01)


class Peers:
    """Servers that take requests and do something else than answer them."""

    def __init__(self, reaction: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.taken = 0
        self.ports: list[int] = []
        self._reaction = reaction
        self._stack = AsyncExitStack()

    async def start(self, count: int) -> None:
        for _ in range(count):
            server = await self._stack.enter_async_context(await asyncio.start_server(self._take, "127.0.0.1", 0))
            self.ports.append(server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        await self._stack.aclose()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.taken += 1
        with suppress(ConnectionError):
            await self._reaction(writer)
        writer.close()


@asynccontextmanager
async def before(
    folder: Path, reaction: Callable[[asyncio.StreamWriter], Awaitable[None]], count: int = 1
) -> AsyncIterator[tuple[Nginx, Peers]]:
    """An nginx with little patience before such servers."""
    peers = Peers(reaction)
    await peers.start(count)
    alone = Nginx(folder, peers.ports, timeout_s=1)
    await asyncio.to_thread(alone.start)
    try:
        yield alone, peers
    finally:
        await asyncio.to_thread(alone.stop)
        await peers.stop()


@pytest.mark.parametrize(
    ("method", "path", "tries"),
    [
        ("POST", "/v1/trigger", 2),  # not three: what breaks one node down does not break all of them down
        ("POST", "/v1/trigger?save=false", 2),
        ("POST", "/v2/models/activate/versions/1/infer", 2),
        ("POST", "/", 2),
        ("GET", "/v1/history", 2),
        ("POST", "/v1/trigger?word=x&save=true", 1),
        ("POST", "/v1/jobs", 1),
        ("POST", "/image-predict", 1),
    ],
)
async def test_only_what_changes_nothing_is_tried_again(tmp_path: Path, method: str, path: str, tries: int) -> None:
    async def hang_up(writer: asyncio.StreamWriter) -> None:
        pass

    async with before(tmp_path, hang_up, 3) as (alone, peers), httpx.AsyncClient(base_url=alone.url) as client:
        refused = await client.request(method, path, content=b"{}" if method == "POST" else None)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json()["error"] == refused.json()["detail"]
        assert peers.taken == tries


async def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    given_up = asyncio.Event()

    async def never_end(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        try:
            while True:
                writer.write(bytes(2**20))
                await writer.drain()
        finally:
            given_up.set()

    async with before(tmp_path, never_end) as (alone, _):
        _, writer = await asyncio.open_connection("127.0.0.1", alone.port, limit=1024)
        writer.write(b"GET /v1/history/export HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(60):
            await given_up.wait()
        writer.close()


@pytest.mark.parametrize("trickle", [b"X", b"POST /v1/trigger HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"])
async def test_what_does_not_arrive_is_given_up(tmp_path: Path, trickle: bytes) -> None:
    async def fail(writer: asyncio.StreamWriter) -> None:
        pytest.fail("the node was asked")

    async with before(tmp_path, fail) as (alone, peers):
        reader, writer = await asyncio.open_connection("127.0.0.1", alone.port)
        writer.write(trickle)
        async with asyncio.timeout(60):
            with suppress(ConnectionResetError):
                await reader.read()
        writer.close()
        assert peers.taken == 0
