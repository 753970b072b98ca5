"""A reverse proxy that serves another server below a path prefix, and strips that: one request a connection."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def stripping_proxy(upstream: str, prefix: str) -> Iterator[str]:
    """The proxy's address, with the prefix."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_serve(upstream, prefix.encode()), loop).result()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"
    asyncio.run_coroutine_threadsafe(_stop(server), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _serve(upstream: str, prefix: bytes) -> asyncio.Server:
    port = urlsplit(upstream).port

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            behind = await asyncio.open_connection("127.0.0.1", port)
            behind[1].write(_stripped(head, prefix))
            await asyncio.gather(_copy(reader, behind[1]), _copy(behind[0], writer))

    return await asyncio.start_server(handle, "127.0.0.1", 0)


def _stripped(head: bytes, prefix: bytes) -> bytes:
    """The head of a request without the prefix in its path; a path without it becomes one that nobody serves."""
    method, path, rest = head.split(b" ", 2)
    path = path.removeprefix(prefix) if path.startswith(prefix + b"/") else b"/outside-of-the-prefix"
    if b"upgrade: websocket" not in rest.lower():
        rest = re.sub(rb"\r\nConnection: [^\r]*", b"", rest, flags=re.IGNORECASE)
        rest = rest.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    return b" ".join((method, path, rest))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await source.read(65_536):
            target.write(block)
            await target.drain()
    with suppress(OSError):
        target.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
