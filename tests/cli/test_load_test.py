from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from helpers.running import serving
from trigger_api.cli import load_test


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as address:
        yield f"http://{address}"


class TestLoadResult:
    def test_goodput_counts_answers_in_time(self) -> None:
        result = load_test.LoadResult(2.0, [float(ms) for ms in range(1, 101)], Counter({"503": 3}))
        assert result.summary(deadline_ms=80) == {
            "requests": 103,
            "answers_per_s": 50,
            "goodput_per_s": 40,
            "p50_ms": 50,
            "p95_ms": 95,
            "p99_ms": 99,
            "max_ms": 100,
            "errors": {"503": 3},
        }

    def test_nothing_answered(self) -> None:
        assert load_test.LoadResult(1.0).summary(1)["p50_ms"] is None


class TestLoops:
    async def test_closed(self, url: str, two_beeps: bytes) -> None:
        template = load_test.upload(f"{url}/v1/trigger", "audio", "a.wav", two_beeps, {})
        result = await load_test.closed_loop(template, clients=4, seconds=0.5)
        assert len(result.latencies) >= 4
        assert not result.errors
        assert result.seconds >= 0.5

    async def test_open_counts_from_when_a_request_was_due(self, url: str) -> None:
        result = await load_test.open_loop(
            load_test.RequestTemplate("GET", f"{url}/health/live"), rate=100, seconds=0.5, progress=False
        )
        assert 20 <= len(result.latencies) <= 90  # 50 on average; the seed fixes the gaps
        assert min(result.latencies) > 0

    async def test_errors_are_counted_by_kind(self, url: str) -> None:
        missing = await load_test.closed_loop(
            load_test.RequestTemplate("GET", f"{url}/nix"), clients=1, seconds=0.1, progress=False
        )
        assert set(missing.errors) == {"404"}
        nobody = load_test.RequestTemplate("GET", "http://127.0.0.1:9/")
        refused = await load_test.closed_loop(nobody, clients=1, seconds=0.1, progress=False)
        assert set(refused.errors) == {"ConnectError"}
