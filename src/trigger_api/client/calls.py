"""The parts that both clients share: calls, errors and retries."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar, cast
from uuid import UUID

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trigger_api.schemas import (
    Account,
    DeletedEntries,
    DigitsAnswer,
    EmotionsAnswer,
    EntitiesAnswer,
    ExportedEntry,
    HistoryEntry,
    HistoryPage,
    JobPage,
    JobStatus,
    LoginSession,
    NewToken,
    ObjectsAnswer,
    Token,
    TokenScope,
    TrainingPage,
    TrainingStatus,
    TriggerAnswer,
)

T = TypeVar("T")
Picture = str | Path | bytes | BinaryIO
Audio = Picture | NDArray[Any]
_Option = str | float | Sequence[str] | None

RETRIED = frozenset({429, 502, 503})
FINISHED = frozenset({"done", "failed"})  # what becomes of jobs and trainings
_LONGEST_WAIT_S = 30.0
_NOTHING: type[None] = type(None)
_DATATYPES = {"float32": "FP32", "int32": "INT32", "uint8": "UINT8"}


class ClientError(Exception):
    """The root of the clients' exceptions."""


class UnreachableError(ClientError, httpx.TransportError):
    """The service could not be reached, or the connection broke; ``__cause__`` is httpx's error.

    It is a subclass of httpx's own error, for callers that handle that.
    """

    def __init__(self, url: httpx.URL, cause: httpx.TransportError) -> None:
        reason = "it did not answer in time" if isinstance(cause, httpx.TimeoutException) else str(cause)
        super().__init__(f"{url} cannot be reached: {reason or type(cause).__name__}")


class ProblemError(ClientError):
    """The service answered with an error."""

    def __init__(self, status: int, detail: str, request_id: str) -> None:
        super().__init__(f"{status}: {detail} (request {request_id})")
        self.status = status
        self.detail = detail
        self.request_id = request_id


@dataclass(frozen=True)
class Retries:
    """How to retry requests when the service is overloaded, not ready, or refuses connections.

    Attributes:
        attempts: maximum number of attempts, including the first.
        wait_s: seconds before the second attempt, doubled each time, unless the service sends ``Retry-After``.
    """

    attempts: int = 4
    wait_s: float = 0.2

    def delay(self, attempt: int, answer: httpx.Response | None) -> float:
        """Seconds to wait after an attempt (1, 2, ...), with jitter, so that clients do not all return at once."""
        named = answer.headers.get("Retry-After", "") if answer else ""
        seconds = float(named) if named.isdecimal() else self.wait_s * 2 ** (attempt - 1)
        return min(seconds, _LONGEST_WAIT_S) * random.uniform(1.0, 1.25)  # noqa: S311 - not a secret


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and the type of its answer. It holds bytes, not open files, so that it can be sent again."""

    method: str
    path: str
    answer: type[T]
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, response: httpx.Response) -> T:
        """Parse the answer.

        Raises:
            ProblemError: the service answered with an error.
        """
        if response.is_success and self.answer is bytes:
            return cast(T, response.content)
        if response.is_success:
            return TypeAdapter(self.answer).validate_json(response.content or b"null")
        body = response.json() if "json" in response.headers.get("Content-Type", "") else {}
        detail = body.get("detail", response.reason_phrase)
        raise ProblemError(response.status_code, detail, body.get("request_id", ""))


def log_in(name: str, password: str) -> Call[LoginSession]:
    """``POST /v1/sessions``."""
    return Call("POST", "/v1/sessions", LoginSession, {"json": {"name": name, "password": password}})


def sign_up(name: str, password: str) -> Call[Account]:
    """``POST /v1/accounts``."""
    return Call("POST", "/v1/accounts", Account, {"json": {"name": name, "password": password}})


def reset_password(secret: str, new_password: str) -> Call[None]:
    """``POST /v1/accounts/reset``."""
    return Call("POST", "/v1/accounts/reset", _NOTHING, {"json": {"secret": secret, "new_password": new_password}})


def create_token(name: str, scopes: Sequence[TokenScope], days: float | None) -> Call[NewToken]:
    """``POST /v1/tokens``."""
    return Call("POST", "/v1/tokens", NewToken, {"json": {"name": name, "scopes": [*scopes], "days": days}})


def revoke_token(token_id: UUID | str) -> Call[None]:
    """``DELETE /v1/tokens/{id}``."""
    return Call("DELETE", f"/v1/tokens/{token_id}", _NOTHING)


ACCOUNT = Call("GET", "/v1/accounts/me", Account)
TOKENS = Call("GET", "/v1/tokens", list[Token])
LOG_OUT = Call("DELETE", "/v1/sessions/current", _NOTHING)
READY = Call("GET", "/health/ready", dict[str, Any])


def trigger(audio: Audio, rate: int, save: bool | None, **options: _Option) -> Call[TriggerAnswer]:
    """``POST /v1/trigger``."""
    body = {"files": {"audio": _file(audio, rate)}, "data": _form(options)}
    return Call("POST", "/v1/trigger", TriggerAnswer, {**body, **_saving(save)})


def digits(image: Picture, save: bool | None, **options: str | float | None) -> Call[DigitsAnswer]:
    """``POST /v1/digits``."""
    body = {"files": {"image": _file(image)}, "data": _form(options)}
    return Call("POST", "/v1/digits", DigitsAnswer, {**body, **_saving(save)})


def emotions(image: Picture, save: bool | None, **options: str | float | None) -> Call[EmotionsAnswer]:
    """``POST /v1/emotions``."""
    body = {"files": {"image": _file(image)}, "data": _form(options)}
    return Call("POST", "/v1/emotions", EmotionsAnswer, {**body, **_saving(save)})


def objects(image: Picture, save: bool | None, **options: str | float | None) -> Call[ObjectsAnswer]:
    """``POST /v1/objects``."""
    body = {"files": {"image": _file(image)}, "data": _form(options)}
    return Call("POST", "/v1/objects", ObjectsAnswer, {**body, **_saving(save)})


def entities(text: str, more: Sequence[str], model: str | None, save: bool | None) -> Call[EntitiesAnswer]:
    """``POST /v1/entities``."""
    body = {"text": text, "texts": [*more], "model": model}
    return Call("POST", "/v1/entities", EntitiesAnswer, {"json": body, **_saving(save)})


def history(filters: Mapping[str, str | datetime | None], cursor: str | None, limit: int) -> Call[HistoryPage]:
    """``GET /v1/history``."""
    params = {**_filters(filters), "limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call("GET", "/v1/history", HistoryPage, {"params": params})


def history_entry(history_id: UUID | str) -> Call[HistoryEntry]:
    """``GET /v1/history/{id}``."""
    return Call("GET", f"/v1/history/{history_id}", HistoryEntry)


def history_media(history_id: UUID | str) -> Call[bytes]:
    """``GET /v1/history/{id}/media``."""
    return Call("GET", f"/v1/history/{history_id}/media", bytes)


def export_history(filters: Mapping[str, str | datetime | None], media: bool) -> Call[bytes]:
    """``GET /v1/history/export``."""
    return Call("GET", "/v1/history/export", bytes, {"params": {**_filters(filters), "media": media}})


def delete_prediction(history_id: UUID | str) -> Call[None]:
    """``DELETE /v1/history/{id}``."""
    return Call("DELETE", f"/v1/history/{history_id}", _NOTHING)


def delete_history(filters: Mapping[str, str | datetime | None], everything: bool) -> Call[DeletedEntries]:
    """``DELETE /v1/history``."""
    params = {**_filters(filters), "everything": everything}
    return Call("DELETE", "/v1/history", DeletedEntries, {"params": params})


def keep_history(value: bool) -> Call[Account]:
    """``PATCH /v1/accounts/me``."""
    return Call("PATCH", "/v1/accounts/me", Account, {"json": {"keeps_history": value}})


def submit_job(name: str, file: BinaryIO, **options: _Option) -> Call[JobStatus]:
    """``POST /v1/jobs``. The file is read while it is sent, from its start each time."""
    return Call("POST", "/v1/jobs", JobStatus, {"files": {"audio": (name, file)}, "data": _form(options)})


def jobs(cursor: str | None, limit: int) -> Call[JobPage]:
    """``GET /v1/jobs``."""
    return Call("GET", "/v1/jobs", JobPage, {"params": {"limit": limit, **({"cursor": cursor} if cursor else {})}})


def job(job_id: UUID | str) -> Call[JobStatus]:
    """``GET /v1/jobs/{id}``."""
    return Call("GET", f"/v1/jobs/{job_id}", JobStatus)


def delete_job(job_id: UUID | str) -> Call[None]:
    """``DELETE /v1/jobs/{id}``."""
    return Call("DELETE", f"/v1/jobs/{job_id}", _NOTHING)


def train_word(word: str, recordings: Sequence[Audio]) -> Call[TrainingStatus]:
    """``POST /v1/training``."""
    files = [("recording", _file(each)) for each in recordings]
    return Call("POST", "/v1/training", TrainingStatus, {"data": {"word": word}, "files": files})


def trainings(cursor: str | None, limit: int) -> Call[TrainingPage]:
    """``GET /v1/training``."""
    params = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call("GET", "/v1/training", TrainingPage, {"params": params})


def training(training_id: UUID | str) -> Call[TrainingStatus]:
    """``GET /v1/training/{id}``."""
    return Call("GET", f"/v1/training/{training_id}", TrainingStatus)


def delete_training(training_id: UUID | str) -> Call[None]:
    """``DELETE /v1/training/{id}``."""
    return Call("DELETE", f"/v1/training/{training_id}", _NOTHING)


def exported(line: str) -> ExportedEntry:
    """A line of an export."""
    return ExportedEntry.model_validate_json(line)


def _filters(filters: Mapping[str, str | datetime | None]) -> dict[str, str]:
    given = {name: value for name, value in filters.items() if value is not None}
    return {name: _utc(value) if isinstance(value, datetime) else value for name, value in given.items()}


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _saving(save: bool | None) -> dict[str, Any]:
    return {} if save is None else {"params": {"save": save}}


def _form(options: Mapping[str, _Option]) -> dict[str, str | list[str]]:
    """The options that are given as form fields; a sequence becomes a repeated field."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, str | float | int) else [*value] for name, value in given.items()}


def infer(model: str, inputs: Mapping[str, NDArray[Any]], version: str | None) -> Call[dict[str, Any]]:
    """``POST /v2/models/{model}/infer``, with arrays as JSON."""
    path = f"/v2/models/{model}/versions/{version}/infer" if version else f"/v2/models/{model}/infer"
    tensors = [
        {"name": name, "shape": list(x.shape), "datatype": _DATATYPES[str(x.dtype)], "data": x.reshape(-1).tolist()}
        for name, x in inputs.items()
    ]
    return Call("POST", path, dict[str, Any], {"json": {"inputs": tensors}})


def arrays(answer: dict[str, Any]) -> dict[str, Any]:
    """The output arrays of an answer of ``/v2``, by name."""
    return {tensor["name"]: _array(tensor) for tensor in answer["outputs"]}


def _array(tensor: dict[str, Any]) -> NDArray[Any]:
    (dtype,) = [name for name, datatype in _DATATYPES.items() if datatype == tensor["datatype"]]
    return np.array(tensor["data"], dtype).reshape(tensor["shape"])


def _file(audio: Audio, rate: int = 0) -> tuple[str, bytes]:
    match audio:
        case bytes():
            return "file", audio
        case str() | Path():
            return Path(audio).name, Path(audio).read_bytes()
        case np.ndarray():
            return "audio.wav", _wav(audio, rate)
    return "file", audio.read()


def _wav(samples: NDArray[Any], rate: int) -> bytes:
    import soundfile  # only needed for samples

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def query(version: str | None) -> dict[str, Any]:
    """The query parameter for a version, if one is given."""
    return {"params": {"version": version}} if version else {}


def headers(token: str | None) -> dict[str, str]:
    """The header for a token, if one is given."""
    return {"Authorization": f"Bearer {token}"} if token else {}
