from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from helpers.live_server import Make, Server, serve
from trigger_api.server import request_body
from trigger_api.server.request_body import RequestBodies, RequestBody

__all__ = ["serve"]

HEAD = (
    b"POST /v1/trigger HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)


class Sender:
    """A client that sends its messages when it is told to."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.awaited = asyncio.Event()

    def send(self, data: bytes, *, more: bool) -> None:
        self.messages.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def disconnect(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        self.awaited.set()
        return await self.messages.get()


@pytest.fixture
def sender() -> Sender:
    return Sender()


async def refused(body: RequestBody) -> HTTPException:
    async with asyncio.timeout(30):
        with pytest.raises(HTTPException) as caught:
            await body.receive()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    assert caught.value.headers is not None
    assert caught.value.headers["Connection"] == "close"
    return caught.value


async def timeout_of(bodies: RequestBodies) -> None:
    """Wait as long as a body that began before this call may take: until a later one is late."""
    await refused(RequestBody(Sender().receive, bodies))


class TestRequestBody:
    async def test_after_a_body_in_time_there_is_no_timeout(self, sender: Sender) -> None:
        bodies = RequestBodies(0.05)
        body = RequestBody(sender.receive, bodies)
        sender.send(b"one", more=True)
        sender.send(b"two", more=False)
        assert [(await body.receive())["body"] for _ in range(2)] == [b"one", b"two"]
        await timeout_of(bodies)
        sender.disconnect()
        assert (await body.receive())["type"] == "http.disconnect"

    @pytest.mark.parametrize("first", [b"", b"one"])
    async def test_an_incomplete_body_is_rejected_after_the_timeout(self, sender: Sender, first: bytes) -> None:
        body = RequestBody(sender.receive, RequestBodies(0.05))
        if first:
            sender.send(first, more=True)
            await body.receive()
        error = await refused(body)
        assert (error.status_code, error.detail) == (408, "the request body did not arrive within 0.05 s")

    async def test_a_late_body_is_rejected_at_the_next_receive(self, sender: Sender) -> None:
        bodies = RequestBodies(0.05)
        body = RequestBody(sender.receive, bodies)
        sender.send(b"one", more=True)
        await body.receive()
        await timeout_of(bodies)
        assert (await refused(body)).status_code == 408

    async def test_another_cancellation_is_not_swallowed(self, sender: Sender) -> None:
        async def request() -> None:
            await RequestBody(sender.receive, RequestBodies(5)).receive()

        task = asyncio.create_task(request())
        await sender.awaited.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_another_task_may_wait_for_the_disconnect(self, sender: Sender) -> None:
        bodies = RequestBodies(0.02)
        body = RequestBody(sender.receive, bodies)
        waiting = asyncio.create_task(body.receive())
        await sender.awaited.wait()
        await timeout_of(bodies)
        assert not waiting.done()
        sender.disconnect()
        assert (await waiting)["type"] == "http.disconnect"


class TestRequestBodies:
    async def test_each_body_has_its_own_timeout(self) -> None:
        bodies, loop, ended = RequestBodies(0.1), asyncio.get_running_loop(), list[str]()

        async def late(name: str, sender: Sender) -> float:
            began = loop.time()
            await refused(RequestBody(sender.receive, bodies))
            ended.append(name)
            return loop.time() - began

        tasks = []
        for name in ("first", "second", "third"):
            sender = Sender()
            tasks.append(asyncio.create_task(late(name, sender)))
            await sender.awaited.wait()
            await asyncio.sleep(0.02)  # the next one begins later
        assert min(await asyncio.gather(*tasks)) >= 0.099
        assert ended == ["first", "second", "third"]

    async def test_shutdown_waits_only_for_bodies_that_have_nearly_arrived(
        self, sender: Sender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(request_body, "_SHUTDOWN_TIMEOUT_S", 0.1)
        bodies = RequestBodies(60)
        near, far = RequestBody(sender.receive, bodies), RequestBody(Sender().receive, bodies)
        loop = asyncio.get_running_loop()
        loop.call_soon(bodies.begin_shutdown)
        loop.call_soon(lambda: sender.send(b"all", more=False))
        assert (await near.receive())["body"] == b"all"
        for late in (far, RequestBody(Sender().receive, bodies)):  # one that begins only now has no more time either
            error = await refused(late)
            assert (error.status_code, error.detail) == (503, "the server is shutting down")


async def connect(server: Server, *parts: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.05)
    return reader, writer


async def rest(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, Any]]:
    """All until the server closes: the head in lower case, and the problem."""
    async with asyncio.timeout(10):
        head, _, problem = (await reader.read()).partition(b"\r\n\r\n")
    return head.lower(), json.loads(problem)


def levels(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Of all lines of the log since it was last read."""
    return {json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()}


@pytest.mark.parametrize("parts", [(HEAD,), (HEAD + b"--x\r\n",), (HEAD, b"--", b"x", b"\r\n")])
async def test_a_slow_sender_is_disconnected_with_408(
    serve: Make, capsys: pytest.CaptureFixture[str], parts: tuple[bytes, ...]
) -> None:
    async with serve(body_timeout_s=0.4, log_level="info") as server:
        capsys.readouterr()
        reader, writer = await connect(server, *parts)
        head, problem = await rest(reader)
        writer.close()
    assert head.startswith(b"http/1.1 408 request timeout")
    assert b"connection: close" in head
    assert b"content-type: application/problem+json" in head
    assert problem["detail"] == "the request body did not arrive within 0.4 s"
    assert problem["request_id"].encode() in head
    assert levels(capsys) == {"info"}


async def test_an_incomplete_upload_gets_503_at_shutdown(serve: Make, capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(log_level="info") as server:
        capsys.readouterr()
        reader, writer = await connect(server, HEAD + b"--x\r\n")
        server.app.state.request_bodies.begin_shutdown()
        head, problem = await rest(reader)
        writer.close()
    assert head.startswith(b"http/1.1 503 ")
    assert b"retry-after: 1" in head
    assert b"connection: close" in head
    assert problem["detail"] == "the server is shutting down"
    assert levels(capsys) == {"info"}
