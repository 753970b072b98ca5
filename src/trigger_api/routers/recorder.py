"""Keeps the predictions of a request in the history: what every route of a task does after its answer is computed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel

from trigger_api.accounts.caller import Caller
from trigger_api.errors import ServiceError
from trigger_api.history.choice import is_wanted
from trigger_api.history.media import Media
from trigger_api.history.record import Record, answer_json, labels_of
from trigger_api.routers.deps import service_of
from trigger_api.server.auth import authenticate
from trigger_api.service import Service

A = TypeVar("A", bound=BaseModel)
SAVE = "keep the prediction in the history, or not; by default as the account says"
Save = Annotated[bool | None, Query(description=SAVE)]


class Recorder:
    """Keeps what one request predicts, if its caller wants that.

    Args:
        service: has the history.
        caller: whose history it is.
        path: the route that was called.
        save: what the request says.
        by_default: whether the route keeps predictions of those who say nothing.

    Raises:
        Unprocessable, Unauthenticated, StorageUnavailable: the request asks for it, and it cannot be done.
    """

    def __init__(
        self, service: Service, caller: Caller, path: str, save: bool | None, *, by_default: bool = False
    ) -> None:
        self._service = service
        self._caller = caller
        self._path = path
        self._asked = save is True
        self._started = time.perf_counter()
        self.wanted = is_wanted(caller, save, has_history=service.settings.has_database, by_default=by_default)
        """Whether the prediction is kept."""

    async def keep(self, answer: A, media: Media, *, task: str, kept: Callable[[], BaseModel] | None = None) -> A:
        """Keep a prediction. The answer says whether that was done, once it is durable.

        Args:
            answer: the answer, with ``saved``, ``history_id`` and ``save_error``.
            media: what it was made of.
            task: the name of the task.
            kept: makes what the history holds: the answer of the task's own route, if this is another one's.

        Raises:
            ServiceError: the request asks for it, and it could not be done. The problem has the answer as a member.
        """
        if not self.wanted:
            return answer
        try:
            saved = await self._save(kept() if kept else answer, media, task)
        except ServiceError as error:
            if not self._asked:
                return answer.model_copy(update={"saved": False, "save_error": error.detail})
            error.members["answer"] = answer.model_dump(mode="json")
            raise
        return answer.model_copy(update=saved)

    async def _save(self, answer: Any, media: Media, task: str) -> dict[str, Any]:
        duration_ms = (time.perf_counter() - self._started) * 1000
        history = self._service.history
        record = Record(
            owner_id=await history.owners.find(self._caller), task=task, path=self._path, model=answer.model,
            version=answer.version, duration_ms=round(duration_ms, 3), answer=answer_json(answer),
            labels=labels_of(answer), media=media,
        )  # fmt: skip
        return {"saved": True, "history_id": await history.keep(self._caller, record)}


async def _recorder(request: Request, caller: Annotated[Caller, Depends(authenticate)], save: Save = None) -> Recorder:
    return Recorder(service_of(request), caller, request.scope["route"].path, save)


async def _signed_in_recorder(
    request: Request, caller: Annotated[Caller, Depends(authenticate)], save: Save = None
) -> Recorder:
    return Recorder(service_of(request), caller, request.scope["route"].path, save, by_default=True)


Recorded = Annotated[Recorder, Depends(_recorder)]
RecordedIfSignedIn = Annotated[Recorder, Depends(_signed_in_recorder)]
"""Of the routes that have always kept what people sent."""
