"""Load tests of an endpoint.

A closed loop has N clients, each of which sends its next request when the last one is answered; it measures throughput.
In an open loop, requests arrive at random at a mean rate, whether or not earlier ones are answered; it measures latency
as users see it. There, latency counts from when a request was due, so that a client that falls behind hides nothing.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_MAX_IN_FLIGHT = 2_000  # of an open loop; more would only test this machine's memory
Send = Callable[[float], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class RequestTemplate:
    """The request that is sent over and over, already encoded."""

    method: str
    url: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class LoadResult:
    """The result of a load test: latencies of successful answers in milliseconds, and errors by status or exception."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def summary(self, deadline_ms: float) -> dict[str, Any]:
        """The figures as a dictionary. Goodput is the rate of answers within the deadline."""
        ordered = sorted(self.latencies)
        good = sum(latency <= deadline_ms for latency in ordered)
        return {
            "requests": len(ordered) + self.errors.total(),
            "answers_per_s": round(len(ordered) / self.seconds, 2),
            "goodput_per_s": round(good / self.seconds, 2),
            **{f"{name}_ms": _percentile(ordered, share) for name, share in _PERCENTILES.items()},
            "max_ms": _percentile(ordered, 1.0),
            "errors": dict(self.errors),
        }


async def closed_loop(template: RequestTemplate, *, clients: int, seconds: float, progress: bool = True) -> LoadResult:
    """Run a closed loop with a number of clients."""

    async def client(send: Send, until: float) -> None:
        while (now := time.perf_counter()) < until:
            await send(now)

    async def run(send: Send, until: float) -> None:
        await asyncio.gather(*(client(send, until) for _ in range(clients)))

    return await _measure(template, run, seconds, progress)


async def open_loop(
    template: RequestTemplate, *, rate: float, seconds: float, seed: int = 0, progress: bool = True
) -> LoadResult:
    """Run an open loop at a mean rate (requests per second) with exponential gaps, a Poisson process."""
    rng = random.Random(seed)  # noqa: S311 - not a secret

    async def run(send: Send, until: float) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            in_flight: set[asyncio.Task[None]] = set()
            while (due := due + rng.expovariate(rate)) < until:
                await asyncio.sleep(due - time.perf_counter())
                if len(in_flight) < _MAX_IN_FLIGHT:
                    task = group.create_task(send(due))
                    in_flight.add(task)
                    task.add_done_callback(in_flight.discard)

    return await _measure(template, run, seconds, progress)


def upload(url: str, field_name: str, name: str, data: bytes, headers: Mapping[str, str]) -> RequestTemplate:
    """A multipart request that uploads one file."""
    request = httpx.Request("POST", url, files={field_name: (name, data)}, headers=dict(headers))
    return RequestTemplate("POST", url, request.read(), dict(request.headers))


def build_request(
    url: str, *, file: Path | None = None, field_name: str = "audio", body: Path | None = None, token: str | None = None
) -> RequestTemplate:
    """The request of a load test: an upload of ``file``, a POST of the JSON in ``body``, or else a GET."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if file:
        return upload(url, field_name, file.name, file.read_bytes(), headers)
    if body:
        return RequestTemplate("POST", url, body.read_bytes(), {**headers, "Content-Type": "application/json"})
    return RequestTemplate("GET", url, headers=headers)


async def _measure(
    template: RequestTemplate, run: Callable[[Send, float], Coroutine[Any, Any, None]], seconds: float, progress: bool
) -> LoadResult:
    result = LoadResult()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:
        started = time.perf_counter()
        bar = asyncio.create_task(_show(result, started, seconds)) if progress else None
        try:
            await run(lambda due: _send_request(http, template, result, due), started + seconds)
        finally:
            result.seconds = time.perf_counter() - started
            if bar is not None:
                bar.cancel()
    return result


async def _send_request(http: httpx.AsyncClient, template: RequestTemplate, result: LoadResult, due: float) -> None:
    try:
        answer = await http.request(
            template.method, template.url, content=template.content, headers=dict(template.headers)
        )
    except httpx.HTTPError as error:
        result.errors[type(error).__name__] += 1
        return
    if answer.is_success:
        result.latencies.append((time.perf_counter() - due) * 1000)
    else:
        result.errors[str(answer.status_code)] += 1


async def _show(result: LoadResult, started: float, seconds: float) -> None:
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("", total=seconds)
        while True:
            done = f"{len(result.latencies)} answered, {result.errors.total()} errors"
            bar.update(task, completed=time.perf_counter() - started, description=done)
            await asyncio.sleep(0.2)


def _percentile(ordered: list[float], share: float) -> float | None:
    """The smallest latency that this share of the answers does not exceed."""
    return round(ordered[max(math.ceil(share * len(ordered)), 1) - 1], 2) if ordered else None
