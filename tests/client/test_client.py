from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from helpers.beep import beeps, encode
from helpers.people import PASSWORD, URL, accounts_app
from helpers.running import serving, started
from trigger_api.client import AsyncClient, Client, ClientError, ProblemError, Retries, UnreachableError
from trigger_api.settings import Settings

SAMPLES = beeps([1.0], seconds=2)
Handler = Callable[[httpx.Request], httpx.Response]


def files(folder: Path) -> list[object]:
    """The same recording in every form that a caller may have it."""
    path = folder / "a.wav"
    path.write_bytes(encode(SAMPLES))
    return [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), SAMPLES]


class TestAgainstTheService:
    async def test_every_method(self, app: FastAPI, tmp_path: Path) -> None:
        async with started(app), AsyncClient("http://localhost", transport=httpx.ASGITransport(app)) as service:
            assert await service.ready()
            for audio in files(tmp_path):
                answer = await service.trigger(audio, threshold=0.5, version="1")  # type: ignore[arg-type]
                assert answer.timestamps == pytest.approx([810], abs=40)
            assert [model.name for model in await service.models()] == ["beep-embedding", "beep"]
            assert (await service.model("beep", version="1")).frame_ms == 80
            assert await service.rooms() == []
            outputs = await service.infer("beep", {"embeddings": np.zeros((1, 10, 2), np.float32)})
            assert outputs["scores"].shape == (1, 8)
            assert outputs["scores"].dtype == np.float32
            assert (await service.unload("beep")).state == "unloaded"
            assert (await service.load("beep")).state == "ready"
            with pytest.raises(ProblemError, match="no such trigger model") as raised:
                await service.trigger(SAMPLES, model="nix")
            assert raised.value.status == 404
            assert len(raised.value.request_id) == 32

    def test_every_method_without_async(self, app: FastAPI, tmp_path: Path) -> None:
        with serving(app) as address, Client(f"http://{address}") as service:
            assert service.ready()
            for audio in files(tmp_path):
                assert len(service.trigger(audio, model="beep").timestamps) == 1  # type: ignore[arg-type]
            assert [model.name for model in service.models()] == ["beep-embedding", "beep"]
            assert service.model("beep").version == "1"
            assert service.rooms() == []
            tensors = {"mel": np.zeros((1, 8, 32), np.float32), "state": np.ones((1, 1), np.float32)}
            assert service.infer("beep-embedding", tensors, version="1")["embeddings"].tolist() == [[[0, 1]]]
            assert service.unload("beep").state == "unloaded"
            assert service.load("beep").state == "ready"

    @pytest.mark.usefixtures("quick_passwords")
    async def test_accounts(self, settings: Settings, tmp_path: Path) -> None:
        app = accounts_app(settings, f"sqlite:///{tmp_path}/database.sqlite3")
        async with started(app, host="203.0.113.7"):
            transport = httpx.ASGITransport(app, client=("203.0.113.7", 1))
            async with AsyncClient(URL, transport=transport) as service:
                assert (await service.sign_up("Ada", PASSWORD)).name == "ada"
                with pytest.raises(ProblemError, match="wrong"):
                    await service.log_in("ada", "not this one")
                await service.log_in("ada", PASSWORD)
                assert (await service.account()).stored_bytes == 0
                made = await service.create_token("script", scopes=["predict", "history"])
                assert [token.id for token in await service.tokens()] == [made.id]
                async with AsyncClient(URL, token=made.token, transport=transport) as script:
                    assert (await script.trigger(SAMPLES)).detected
                await service.revoke_token(made.id)
                await service.log_out()
                with pytest.raises(ProblemError, match="token is required"):
                    await service.models()

    @pytest.mark.usefixtures("quick_passwords")
    def test_accounts_without_async(self, settings: Settings, tmp_path: Path) -> None:
        app = accounts_app(settings, f"sqlite:///{tmp_path}/database.sqlite3")
        with serving(app) as address, Client(f"http://{address}") as service:
            service.sign_up("ada", PASSWORD)
            service.log_in("ada", PASSWORD)
            assert service.account().name == "ada"
            made = service.create_token("script", days=None)
            assert made.expires_at is None
            assert service.tokens()[0].name == "script"
            service.revoke_token(made.id)
            service.log_out()
            with pytest.raises(ProblemError) as raised:
                service.account()
            assert raised.value.status == 401


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in found if name[0] != "_"}

    assert methods(Client) == methods(AsyncClient)


class Flaky:
    """Fails some times, then answers."""

    def __init__(self, *failures: httpx.Response | Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if not self.failures:
            return httpx.Response(200, json=[])
        failure = self.failures.pop(0)
        if isinstance(failure, Exception):
            raise failure
        return failure


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a client would have slept."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("trigger_api.client.blocking.time.sleep", slept.append)
    monkeypatch.setattr("trigger_api.client.asynchronous.asyncio.sleep", sleep)
    return slept


def busy(seconds: int) -> httpx.Response:
    return httpx.Response(503, headers={"Retry-After": str(seconds)}, json={"detail": "full", "request_id": "7"})


class TestRetries:
    async def ask(self, handler: Handler, *, waiting: bool) -> object:
        transport = httpx.MockTransport(handler)
        if waiting:
            with Client("http://x", transport=transport) as client:
                return client.models()
        async with AsyncClient("http://x", transport=transport) as client:
            return await client.models()

    @pytest.mark.parametrize("waiting", [True, False])
    async def test_it_waits_for_retry_after(self, waits: list[float], waiting: bool) -> None:
        flaky = Flaky(busy(3), httpx.ConnectError("refused"), httpx.Response(502))
        assert await self.ask(flaky, waiting=waiting) == []
        assert flaky.calls == 4
        assert 3 <= waits[0] <= 3.75
        assert 0.4 <= waits[1] <= 0.5
        assert 0.8 <= waits[2] <= 1.0

    @pytest.mark.parametrize("waiting", [True, False])
    async def test_it_gives_up_in_the_end(self, waits: list[float], waiting: bool) -> None:
        with pytest.raises(ProblemError, match="503: full"):
            await self.ask(Flaky(*[busy(1_000)] * 9), waiting=waiting)
        assert len(waits) == 3
        assert max(waits) <= 37.5

    @pytest.mark.parametrize("waiting", [True, False])
    async def test_client_errors_are_not_retried(self, waits: list[float], waiting: bool) -> None:
        flaky = Flaky(httpx.Response(404, text="not json"))
        with pytest.raises(ProblemError, match="404: Not Found"):
            await self.ask(flaky, waiting=waiting)
        assert flaky.calls == 1
        assert waits == []

    @pytest.mark.parametrize("waiting", [True, False])
    @pytest.mark.parametrize(
        ("fault", "words", "calls"),
        [
            (httpx.ConnectError("refused"), "http://x cannot be reached: refused", 4),
            (httpx.ReadTimeout(""), "http://x cannot be reached: it did not answer in time", 1),
            (httpx.ReadError(""), "http://x cannot be reached: ReadError", 1),
        ],
    )
    async def test_who_cannot_be_reached_is_named(
        self, waits: list[float], waiting: bool, fault: httpx.TransportError, words: str, calls: int
    ) -> None:
        flaky = Flaky(*[fault] * 4)
        with pytest.raises(UnreachableError) as raised:
            await self.ask(flaky, waiting=waiting)
        assert (str(raised.value), flaky.calls, raised.value.__cause__) == (words, calls, fault)
        assert isinstance(raised.value, ClientError)
        assert isinstance(raised.value, httpx.TransportError)

    def test_a_date_is_not_understood_and_does_no_harm(self) -> None:
        answer = httpx.Response(503, headers={"Retry-After": "Sat, 21 Nov 2026 12:00:00 GMT"})
        assert 0.2 <= Retries().delay(1, answer) <= 0.25


def test_a_token_is_sent() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200, json=[])

    with Client("http://x", token="secret", transport=httpx.MockTransport(handler)) as client:
        client.models()
    assert seen == ["Bearer secret"]
