"""``trigger-api bench``: load on any endpoint, and what came of it.

Closed loop: N clients, each sending its next request when the last one is answered; it finds the throughput. Open
loop: requests arrive by chance at a mean rate, whether or not the last ones are answered, as people do; it finds what
they wait. In an open loop a latency counts from when the request was due, so a client that falls behind hides nothing.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_MAX_IN_FLIGHT = 2_000  # requests of an open loop under way at once; more would measure this machine's memory
Send = Callable[[float], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class RequestTemplate:
    """The request, encoded once."""

    method: str
    url: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class LoadResult:
    """What was measured: milliseconds of each answer of 2xx, and how often each other status or failure came."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def summary(self, deadline_ms: float) -> dict[str, Any]:
        """The figures; goodput counts the answers a second that came within the deadline."""
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
    """Load from a fixed number of clients."""

    async def client(send: Send, until: float) -> None:
        while (now := time.perf_counter()) < until:
            await send(now)

    async def run(send: Send, until: float) -> None:
        await asyncio.gather(*(client(send, until) for _ in range(clients)))

    return await _measure(template, run, seconds, progress)


async def open_loop(
    template: RequestTemplate, *, rate: float, seconds: float, seed: int = 0, progress: bool = True
) -> LoadResult:
    """Load of a mean rate (requests a second), with exponential gaps: a Poisson process."""
    chance = random.Random(seed)  # noqa: S311 - arrivals, no secret

    async def run(send: Send, until: float) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            in_flight: set[asyncio.Task[None]] = set()
            while (due := due + chance.expovariate(rate)) < until:
                await asyncio.sleep(due - time.perf_counter())
                if len(in_flight) < _MAX_IN_FLIGHT:
                    task = group.create_task(send(due))
                    in_flight.add(task)
                    task.add_done_callback(in_flight.discard)

    return await _measure(template, run, seconds, progress)


def upload(url: str, field_name: str, name: str, data: bytes, headers: Mapping[str, str]) -> RequestTemplate:
    """A multipart request with one file."""
    request = httpx.Request("POST", url, files={field_name: (name, data)}, headers=dict(headers))
    return RequestTemplate("POST", url, request.read(), dict(request.headers))


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
    """The smallest latency that this share of the answers did not exceed."""
    return round(ordered[max(math.ceil(share * len(ordered)), 1) - 1], 2) if ordered else None
