"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from numpy.typing import NDArray

from trigger_api.client import calls
from trigger_api.client.calls import FINISHED, READY, RETRIED, Audio, Call, Picture, Retries, UnreachableError
from trigger_api.model_card import ModelCard
from trigger_api.schemas import (
    Account,
    DigitsAnswer,
    EmotionsAnswer,
    EntitiesAnswer,
    ExportedEntry,
    HistoryEntry,
    HistoryPage,
    JobPage,
    JobStatus,
    LoginSession,
    ModelStatus,
    NewToken,
    ObjectsAnswer,
    RoomState,
    Sensitivity,
    Token,
    TokenScope,
    TrainingPage,
    TrainingStatus,
    TriggerAnswer,
)

T = TypeVar("T")
S = TypeVar("S", JobStatus, TrainingStatus)


class AsyncClient:
    """The asynchronous client, with the methods of ``Client``. Use it in an ``async with`` block, or ``close`` it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect to the service at ``url``; ``transport`` replaces the network, for instance in tests."""
        self._http = httpx.AsyncClient(
            base_url=url, headers=calls.headers(token), timeout=timeout_s, transport=transport
        )
        self._retries = retries or Retries()

    async def trigger(
        self,
        audio: Audio,
        *,
        rate: int = 16_000,
        model: str | None = None,
        version: str | None = None,
        sensitivity: Sensitivity | None = None,
        threshold: float | None = None,
        words: Sequence[str] = (),
        save: bool | None = None,
    ) -> TriggerAnswer:
        """As ``Client.trigger``."""
        options = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        return await self._send(calls.trigger(audio, rate, save, model=model, version=version, **options))

    async def digits(
        self,
        image: Picture,
        *,
        model: str | None = None,
        version: str | None = None,
        threshold: float | None = None,
        save: bool | None = None,
    ) -> DigitsAnswer:
        """As ``Client.digits``."""
        return await self._send(calls.digits(image, save, model=model, version=version, threshold=threshold))

    async def emotions(
        self,
        image: Picture,
        *,
        model: str | None = None,
        version: str | None = None,
        threshold: float | None = None,
        annotated: bool = False,
        crops: bool = False,
        save: bool | None = None,
    ) -> EmotionsAnswer:
        """As ``Client.emotions``."""
        options = {"annotated": str(annotated), "crops": str(crops)}
        return await self._send(
            calls.emotions(image, save, model=model, version=version, threshold=threshold, **options)
        )

    async def objects(
        self,
        image: Picture,
        *,
        model: str | None = None,
        version: str | None = None,
        score_th: float | None = None,
        nms_iou: float | None = None,
        min_height: float | None = None,
        min_width: float | None = None,
        max_results: int | None = None,
        save: bool | None = None,
    ) -> ObjectsAnswer:
        """As ``Client.objects``."""
        limits = {"score_th": score_th, "nms_iou": nms_iou, "min_height": min_height, "min_width": min_width}
        return await self._send(
            calls.objects(image, save, model=model, version=version, maxResults=max_results, **limits)
        )

    async def entities(
        self, text: str, *more: str, model: str | None = None, save: bool | None = None
    ) -> EntitiesAnswer:
        """As ``Client.entities``."""
        return await self._send(calls.entities(text, more, model, save))

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None
    ) -> dict[str, Any]:
        """As ``Client.infer``."""
        return calls.arrays(await self._send(calls.infer(model, inputs, version)))

    async def models(self) -> list[ModelStatus]:
        """As ``Client.models``."""
        return await self._send(Call("GET", "/v1/models", list[ModelStatus]))

    async def model(self, name: str, *, version: str | None = None) -> ModelCard:
        """As ``Client.model``."""
        return await self._send(Call("GET", f"/v1/models/{name}", ModelCard, calls.query(version)))

    async def load(self, name: str, *, version: str | None = None) -> ModelStatus:
        """As ``Client.load``."""
        return await self._send(Call("POST", f"/v1/models/{name}/load", ModelStatus, calls.query(version)))

    async def unload(self, name: str, *, version: str | None = None) -> ModelStatus:
        """As ``Client.unload``."""
        return await self._send(Call("POST", f"/v1/models/{name}/unload", ModelStatus, calls.query(version)))

    async def rooms(self) -> list[RoomState]:
        """As ``Client.rooms``."""
        return await self._send(Call("GET", "/v1/rooms", list[RoomState]))

    async def sign_up(self, name: str, password: str) -> Account:
        """As ``Client.sign_up``."""
        return await self._send(calls.sign_up(name, password))

    async def reset_password(self, secret: str, new_password: str) -> None:
        """As ``Client.reset_password``."""
        await self._send(calls.reset_password(secret, new_password))

    async def log_in(self, name: str, password: str) -> LoginSession:
        """As ``Client.log_in``."""
        call = calls.log_in(name, password)
        return call.read(await self._request(call))  # not sent again: another attempt would count against the limit

    async def log_out(self) -> None:
        """As ``Client.log_out``."""
        await self._send(calls.LOG_OUT)

    async def account(self) -> Account:
        """As ``Client.account``."""
        return await self._send(calls.ACCOUNT)

    async def tokens(self) -> list[Token]:
        """As ``Client.tokens``."""
        return await self._send(calls.TOKENS)

    async def create_token(
        self, name: str, *, scopes: Sequence[TokenScope] = ("predict",), days: float | None = 90
    ) -> NewToken:
        """As ``Client.create_token``."""
        return await self._send(calls.create_token(name, scopes, days))

    async def revoke_token(self, token_id: UUID | str) -> None:
        """As ``Client.revoke_token``."""
        await self._send(calls.revoke_token(token_id))

    async def keep_history(self, value: bool) -> Account:
        """As ``Client.keep_history``."""
        return await self._send(calls.keep_history(value))

    async def history(
        self,
        *,
        task: str | None = None,
        label: str | None = None,
        file_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> HistoryPage:
        """As ``Client.history``."""
        filters = {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
        return await self._send(calls.history(filters, cursor, limit))

    async def history_entry(self, history_id: UUID | str) -> HistoryEntry:
        """As ``Client.history_entry``."""
        return await self._send(calls.history_entry(history_id))

    async def history_media(self, history_id: UUID | str) -> bytes:
        """As ``Client.history_media``."""
        return await self._send(calls.history_media(history_id))

    async def export_history(
        self,
        *,
        task: str | None = None,
        label: str | None = None,
        file_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        media: bool = False,
    ) -> AsyncIterator[ExportedEntry]:
        """As ``Client.export_history``."""
        filters = {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
        call = calls.export_history(filters, media)
        async with self._http.stream(call.method, call.path, **call.options) as response:
            if response.is_error:
                await response.aread()
                call.read(response)
            async for line in response.aiter_lines():
                yield calls.exported(line)

    async def delete_prediction(self, history_id: UUID | str) -> None:
        """As ``Client.delete_prediction``."""
        await self._send(calls.delete_prediction(history_id))

    async def delete_history(
        self,
        *,
        task: str | None = None,
        label: str | None = None,
        file_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        everything: bool = False,
    ) -> int:
        """As ``Client.delete_history``."""
        filters = {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
        return (await self._send(calls.delete_history(filters, everything))).deleted

    async def submit_job(
        self,
        audio: str | Path,
        *,
        model: str | None = None,
        version: str | None = None,
        sensitivity: Sensitivity | None = None,
        threshold: float | None = None,
        words: Sequence[str] = (),
    ) -> JobStatus:
        """As ``Client.submit_job``."""
        options = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        with Path(audio).open("rb") as file:  # noqa: ASYNC230 - httpx reads it in small pieces
            call = calls.submit_job(Path(audio).name, file, model=model, version=version, **options)
            return await self._send(call)

    async def jobs(self, *, cursor: str | None = None, limit: int = 50) -> JobPage:
        """As ``Client.jobs``."""
        return await self._send(calls.jobs(cursor, limit))

    async def job(self, job_id: UUID | str) -> JobStatus:
        """As ``Client.job``."""
        return await self._send(calls.job(job_id))

    async def wait_for_job(self, job_id: UUID | str, *, every_s: float = 1.0) -> JobStatus:
        """As ``Client.wait_for_job``."""
        return await _finished(lambda: self.job(job_id), every_s)

    async def delete_job(self, job_id: UUID | str) -> None:
        """As ``Client.delete_job``."""
        await self._send(calls.delete_job(job_id))

    async def train_word(self, word: str, recordings: Sequence[Audio] = ()) -> TrainingStatus:
        """As ``Client.train_word``."""
        return await self._send(calls.train_word(word, recordings))

    async def trainings(self, *, cursor: str | None = None, limit: int = 50) -> TrainingPage:
        """As ``Client.trainings``."""
        return await self._send(calls.trainings(cursor, limit))

    async def training(self, training_id: UUID | str) -> TrainingStatus:
        """As ``Client.training``."""
        return await self._send(calls.training(training_id))

    async def wait_for_training(self, training_id: UUID | str, *, every_s: float = 2.0) -> TrainingStatus:
        """As ``Client.wait_for_training``."""
        return await _finished(lambda: self.training(training_id), every_s)

    async def delete_training(self, training_id: UUID | str) -> None:
        """As ``Client.delete_training``."""
        await self._send(calls.delete_training(training_id))

    async def ready(self) -> bool:
        """As ``Client.ready``."""
        return (await self._request(READY)).is_success

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _send(self, call: Call[T]) -> T:
        for attempt in range(1, self._retries.attempts):
            response = await self._try(call)
            if response is not None and response.status_code not in RETRIED:
                return call.read(response)
            await asyncio.sleep(self._retries.delay(attempt, response))
        return call.read(await self._request(call))

    async def _try(self, call: Call[T]) -> httpx.Response | None:
        try:
            return await self._request(call)
        except UnreachableError as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                return None
            raise

    async def _request(self, call: Call[T]) -> httpx.Response:
        try:
            return await self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise UnreachableError(self._http.base_url, error) from error


async def _finished(ask: Callable[[], Awaitable[S]], every_s: float) -> S:
    while (found := await ask()).status not in FINISHED:  # noqa: ASYNC110 - it changes elsewhere
        await asyncio.sleep(every_s)
    return found
