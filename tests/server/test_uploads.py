from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from helpers.live_server import Make, Server, serve
from trigger_api.server import uploads as module
from trigger_api.server.uploads import Upload, Uploads

__all__ = ["serve"]

HEAD = (
    b"POST /v1/trigger HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)


class Body:
    """Messages that come one after another, each when it is let go."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, data: bytes, *, more: bool) -> None:
        self.messages.put_nowait({"type": "http.request", "body": data, "more_body": more})

    async def receive(self) -> Message:
        return await self.messages.get()


@pytest.fixture
def body() -> Body:
    return Body()


async def refused(upload: Upload) -> HTTPException:
    async with asyncio.timeout(5):
        with pytest.raises(HTTPException) as caught:
            await upload.receive()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    assert caught.value.headers is not None
    assert caught.value.headers["Connection"] == "close"
    return caught.value


class TestUpload:
    async def test_a_body_in_time_passes_and_what_follows_may_last(self, body: Body) -> None:
        upload = Upload(body.receive, Uploads(0.05))
        body.send(b"one", more=True)
        body.send(b"two", more=False)
        assert [(await upload.receive())["body"] for _ in range(2)] == [b"one", b"two"]
        asyncio.get_running_loop().call_later(0.15, body.messages.put_nowait, {"type": "http.disconnect"})
        assert (await upload.receive())["type"] == "http.disconnect"

    @pytest.mark.parametrize("first", [b"", b"one"])
    async def test_one_that_trickles_is_given_up_however_much_has_come(self, body: Body, first: bytes) -> None:
        upload = Upload(body.receive, Uploads(0.05))
        if first:
            body.send(first, more=True)
            await upload.receive()
        error = await refused(upload)
        assert (error.status_code, error.detail) == (408, "the request body did not arrive within 0.05 s")

    async def test_one_that_is_not_asked_for_in_time_is_refused_at_the_next_asking(self, body: Body) -> None:
        upload = Upload(body.receive, Uploads(0.05))
        body.send(b"one", more=True)
        await upload.receive()
        await asyncio.sleep(0.1)
        assert (await refused(upload)).status_code == 408

    async def test_a_cancellation_from_elsewhere_goes_on(self, body: Body) -> None:
        async def request() -> None:
            await Upload(body.receive, Uploads(5)).receive()

        task = asyncio.create_task(request())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_another_task_may_wait_for_the_client_to_leave(self, body: Body) -> None:
        upload = Upload(body.receive, Uploads(0.02))
        waiting = asyncio.create_task(upload.receive())
        await asyncio.sleep(0.1)
        body.messages.put_nowait({"type": "http.disconnect"})
        assert (await waiting)["type"] == "http.disconnect"


class TestUploads:
    async def test_each_has_its_own_time_and_all_share_a_timer(self) -> None:
        uploads, loop = Uploads(0.2), asyncio.get_running_loop()

        async def late() -> float:
            began = loop.time()
            await refused(Upload(Body().receive, uploads))
            return loop.time() - began

        first = asyncio.create_task(late())
        await asyncio.sleep(0.1)
        assert [await first, await late()] == pytest.approx([0.2, 0.2], abs=0.09)

    async def test_at_the_end_only_what_is_nearly_here_is_waited_for(
        self, body: Body, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PARTING_S", 0.1)
        uploads = Uploads(60)
        near, far = Upload(body.receive, uploads), Upload(Body().receive, uploads)
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, uploads.release)
        loop.call_later(0.04, lambda: body.send(b"all", more=False))
        assert (await near.receive())["body"] == b"all"
        for late in (far, Upload(Body().receive, uploads)):  # one begun only now has no longer either
            error = await refused(late)
            assert (error.status_code, error.detail) == (503, "the server is closing")


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
async def test_a_slow_sender_is_told_and_hung_up_on(
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


async def test_at_the_end_a_held_upload_is_told_to_come_back(serve: Make, capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(log_level="info") as server:
        capsys.readouterr()
        reader, writer = await connect(server, HEAD + b"--x\r\n")
        server.app.state.uploads.release()
        head, problem = await rest(reader)
        writer.close()
    assert head.startswith(b"http/1.1 503 ")
    assert b"retry-after: 1" in head
    assert b"connection: close" in head
    assert problem["detail"] == "the server is closing"
    assert levels(capsys) == {"info"}
