"""Closed-loop load: N clients, each sending its next request when the last is answered. Only the standard library."""

from __future__ import annotations

import itertools
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from http import HTTPStatus
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CLOSED = re.compile(rb"connection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """One request, encoded once and sent many times."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    @cached_property
    def message(self) -> bytes:
        """The whole request as it goes over the wire."""
        address = urlsplit(self.url)
        own = {"Host": address.netloc, "Content-Length": str(len(self.body))}
        path = f"{address.path}?{address.query}" if address.query else address.path
        lines = [
            f"POST {path} HTTP/1.1",
            *(f"{key}: {value}" for key, value in {**own, **self.headers}.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass
class LoadResult:
    """What a run measured: the seconds that each successful request took, and statuses other than 200."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Successful requests per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in milliseconds below which this share (0..1) of requests stayed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000


def upload(url: str, name: str, content: bytes, field_name: str, **fields: str) -> Request:
    """A multipart request with one file, after other fields."""
    boundary = uuid.uuid4().hex
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ) + (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return Request(url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def run(*requests: Request, clients: int, seconds: float) -> LoadResult:
    """Send requests from several clients at once for some seconds; each cycles through them from its own offset."""
    load = LoadResult(seconds)
    stop = time.perf_counter() + seconds
    rounds = [itertools.cycle(_turned(requests, client)) for client in range(clients)]
    load.seconds = side_by_side([partial(_client, each, stop, load) for each in rounds])
    return load


def side_by_side(works: Iterable[Callable[[], object]]) -> float:
    """Do each in a thread of its own; the seconds until the last has ended."""
    threads = [threading.Thread(target=work) for work in works]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _turned(requests: Sequence[Request], by: int) -> list[Request]:
    start = by % len(requests)
    return [*requests[start:], *requests[:start]]


def _client(requests: Iterator[Request], stop: float, load: LoadResult) -> None:
    channel: Channel | None = None
    while time.perf_counter() < stop:
        request, started = next(requests), time.perf_counter()
        try:
            channel = channel if channel and channel.open else Channel(request.url)
            status = channel.ask(request.message)
        except OSError:
            channel, status = None, 0
        if status == HTTPStatus.OK:
            load.latencies.append(time.perf_counter() - started)
        else:
            load.failures.append(status)
            time.sleep(0 if status else 0.1)


class Channel:
    """A connection kept open. The standard library's client would cost several times as much on the same cores."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open = True

    def ask(self, message: bytes) -> int:
        """Send a request and read its answer; returns the status."""
        self._socket.sendall(message)
        head, _, body = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None:
            raise OSError("the response has no Content-Length")
        rest = int(length.group(1)) - len(body)
        while rest > 0:
            rest -= len(self._more())
        self.open = head.startswith(b"HTTP/1.1") and not _CLOSED.search(head)
        return int(head[9:12])

    def _until(self, mark: bytes) -> bytes:
        received = self._more()
        while mark not in received:
            received += self._more()
        return received

    def _more(self) -> bytes:
        part = self._socket.recv(65_536)
        if not part:
            raise ConnectionResetError
        return part
