from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from helpers.beep import BeepModel
from helpers.running import started
from trigger_api.app import create_app
from trigger_api.settings import Settings


def limited(settings: Settings, **changes: object) -> FastAPI:
    made = Settings(**{**settings.model_dump(exclude_unset=True), "tokens": "ada,eve", **changes})
    return create_app(made, loader=lambda path, card: BeepModel())


async def test_a_caller_learns_what_is_left(settings: Settings) -> None:
    async with started(limited(settings, rate_limit="2/minute")) as client:
        answers = [await client.get("/v1/models", headers={"X-Api-Token": "ada"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        for answer, left in zip(answers, (1, 0, 0), strict=True):
            assert answer.headers["RateLimit-Policy"] == '"requests";q=2;w=60'
            assert answer.headers["RateLimit"].startswith(f'"requests";r={left};t=')
        assert 0 < int(answers[2].headers["Retry-After"]) <= 60
        problem = answers[2].json()
        assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
        assert problem["violated-policies"] == ["requests"]
        assert (await client.get("/v1/models", headers={"X-Api-Token": "eve"})).status_code == 200
        assert (await client.get("/v1/models", headers={"X-Api-Token": "mallory"})).status_code == 401


async def test_probes_are_not_limited(settings: Settings) -> None:
    async with started(limited(settings, rate_limit="1/minute")) as client:
        for _ in range(3):
            answer = await client.get("/health/live")
            assert answer.status_code == 200
            assert "RateLimit" not in answer.headers


async def test_a_caller_has_a_number_of_requests_open(settings: Settings, two_beeps: bytes) -> None:
    app = limited(settings, max_requests_per_caller=1)
    async with started(app) as client:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow_body() -> AsyncIterator[bytes]:
            arrived.set()
            await go_on.wait()
            yield b"{}"

        headers = {"X-Api-Token": "ada", "Content-Type": "application/json"}
        first = asyncio.ensure_future(client.post("/v1/entities", content=slow_body(), headers=headers))
        await arrived.wait()
        second = await client.get("/v1/models", headers=headers)
        assert (second.status_code, second.headers["Retry-After"]) == (429, "1")
        assert second.headers["RateLimit-Policy"] == '"concurrency";q=1;qu="concurrent-requests"'
        go_on.set()
        await first
        assert (await client.get("/v1/models", headers=headers)).status_code == 200


@pytest.mark.parametrize("rate", ["fast", "0/minute", "10", "10/fortnight", "-1/minute"])
def test_a_rate_is_a_number_and_a_time(rate: str) -> None:
    with pytest.raises(ValueError, match="600/minute"):
        Settings(rate_limit=rate)
