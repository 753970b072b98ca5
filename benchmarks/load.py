"""Closed-loop load: N clients, each sending its next request when the last is answered. Only the standard library."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """One request, encoded once and sent many times."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Load:
    """What a run measured: seconds of each answered request, and statuses other than 200."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """A latency in milliseconds: the share (0..1) of requests was faster."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000


def upload(url: str, name: str, content: bytes, field_name: str) -> Request:
    """A multipart request with one file."""
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return Request(url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def run(*requests: Request, clients: int, seconds: float) -> Load:
    """Send requests from several clients at once for some seconds; each goes round them from a place of its own."""
    load = Load(seconds)
    stop = time.perf_counter() + seconds
    rounds = [itertools.cycle(_turned(requests, client)) for client in range(clients)]
    threads = [threading.Thread(target=_client, args=(each, stop, load)) for each in rounds]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - started
    return load


def _turned(requests: Sequence[Request], by: int) -> list[Request]:
    start = by % len(requests)
    return [*requests[start:], *requests[:start]]


def _client(requests: Iterator[Request], stop: float, load: Load) -> None:
    request = next(requests)
    address = urlsplit(request.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    while time.perf_counter() < stop:
        started = time.perf_counter()
        connection.request("POST", address.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            load.latencies.append(time.perf_counter() - started)
        else:
            load.failures.append(answer.status)
        request = next(requests)
    connection.close()
