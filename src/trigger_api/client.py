"""A typed client, blocking (``Client``) and asynchronous (``AsyncClient``): recordings in, the API's schemas out.

::

    from trigger_api.client import Client

    with Client("http://127.0.0.1:8000") as service:
        print(service.trigger("samples/activate.wav").timestamps)
"""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, Self, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trigger_api.cards import ModelCard
from trigger_api.schemas import (
    DigitsAnswer,
    EmotionsAnswer,
    EntitiesAnswer,
    ModelStatus,
    ObjectsAnswer,
    RoomState,
    Sensitivity,
    TriggerAnswer,
)

T = TypeVar("T")
Picture = str | Path | bytes | BinaryIO
Audio = Picture | NDArray[Any]
_Option = str | float | Sequence[str] | None

_RETRIED = frozenset({429, 502, 503})
_LONGEST_WAIT_S = 30.0
_DATATYPES = {"float32": "FP32", "int32": "INT32", "uint8": "UINT8"}


class ClientError(Exception):
    """The root of what a client raises."""


class UnreachableError(ClientError, httpx.TransportError):
    """The service could not be reached, or broke off; ``__cause__`` is httpx's error.

    It is one of httpx's transport errors itself, for callers that know those.
    """

    def __init__(self, url: httpx.URL, cause: httpx.TransportError) -> None:
        why = "it did not answer in time" if isinstance(cause, httpx.TimeoutException) else str(cause)
        super().__init__(f"{url} cannot be reached: {why or type(cause).__name__}")


class ProblemError(ClientError):
    """The service's own account of what went wrong."""

    def __init__(self, status: int, detail: str, request_id: str) -> None:
        super().__init__(f"{status}: {detail} (request {request_id})")
        self.status = status
        self.detail = detail
        self.request_id = request_id


@dataclass(frozen=True)
class Retries:
    """How often to try again what was not answered for lack of room, readiness or a connection.

    Attributes:
        attempts: the first one included.
        wait_s: seconds before the second attempt, doubled each time, where the service names none (``Retry-After``).
    """

    attempts: int = 4
    wait_s: float = 0.2

    def delay(self, attempt: int, answer: httpx.Response | None) -> float:
        """Seconds to wait after an attempt (1, 2, ...); a little is left to chance, lest all clients return at once."""
        named = answer.headers.get("Retry-After", "") if answer else ""
        seconds = float(named) if named.isdecimal() else self.wait_s * 2 ** (attempt - 1)
        return min(seconds, _LONGEST_WAIT_S) * random.uniform(1.0, 1.25)  # noqa: S311 - no secret


@dataclass(frozen=True)
class _Call(Generic[T]):
    """One request and what its answer is. Every attempt sends it anew, so it holds bytes, not open files."""

    method: str
    path: str
    answer: type[T]
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, response: httpx.Response) -> T:
        if response.is_success:
            return TypeAdapter(self.answer).validate_json(response.content)
        body = response.json() if "json" in response.headers.get("Content-Type", "") else {}
        detail = body.get("detail", response.reason_phrase)
        raise ProblemError(response.status_code, detail, body.get("request_id", ""))


_READY = _Call("GET", "/health/ready", dict[str, Any])


class Client:
    """The blocking client. Use it in a ``with`` block, or ``close`` it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Talk to the service at ``url``; ``transport`` puts something else in place of the network."""
        self._http = httpx.Client(base_url=url, headers=_headers(token), timeout=timeout_s, transport=transport)
        self._retries = retries or Retries()

    def trigger(
        self,
        audio: Audio,
        *,
        rate: int = 16_000,
        model: str | None = None,
        version: str | None = None,
        sensitivity: Sensitivity | None = None,
        threshold: float | None = None,
        words: Sequence[str] = (),
    ) -> TriggerAnswer:
        """Hear a recording: a file's path, its bytes, an open file, or samples ``(n,)`` in -1..1 at ``rate`` Hz.

        With `words`, each of them is listened for, instead of a model's; ``*`` is every word that is known.

        Raises:
            ProblemError: the service says why not.
            UnreachableError: it could not be reached.
        """
        chosen = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        return self._send(_trigger(audio, rate, model=model, version=version, **chosen))

    def digits(
        self, image: Picture, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> DigitsAnswer:
        """Read a picture's digits: a file's path, its bytes, or an open file. Errors as ``trigger``."""
        return self._send(_digits(image, model=model, version=version, threshold=threshold))

    def emotions(
        self,
        image: Picture,
        *,
        model: str | None = None,
        version: str | None = None,
        threshold: float | None = None,
        annotated: bool = False,
        crops: bool = False,
    ) -> EmotionsAnswer:
        """Read a photo's faces: a file's path, its bytes, or an open file. Errors as ``trigger``."""
        wanted = {"annotated": str(annotated), "crops": str(crops)}
        return self._send(_emotions(image, model=model, version=version, threshold=threshold, **wanted))

    def objects(
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
    ) -> ObjectsAnswer:
        """Find a photo's objects: a file's path, its bytes, or an open file. Errors as ``trigger``."""
        limits = {"score_th": score_th, "nms_iou": nms_iou, "min_height": min_height, "min_width": min_width}
        return self._send(_objects(image, model=model, version=version, maxResults=max_results, **limits))

    def entities(self, text: str, *more: str, model: str | None = None) -> EntitiesAnswer:
        """Find who and what a text names; further texts are read apart. Errors as ``trigger``."""
        return self._send(_entities(text, more, model))

    def infer(self, model: str, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None) -> dict[str, Any]:
        """Tensors in, tensors out, by name; all lead with the batch axis. Errors as ``trigger``."""
        return _arrays(self._send(_infer(model, inputs, version)))

    def models(self) -> list[ModelStatus]:
        """Every version of every model. Errors as ``trigger``."""
        return self._send(_Call("GET", "/v1/models", list[ModelStatus]))

    def model(self, name: str, *, version: str | None = None) -> ModelCard:
        """A model's card. Errors as ``trigger``."""
        return self._send(_Call("GET", f"/v1/models/{name}", ModelCard, _query(version)))

    def load(self, name: str, *, version: str | None = None) -> ModelStatus:
        """Load a version, or load it anew (administrators). Errors as ``trigger``."""
        return self._send(_Call("POST", f"/v1/models/{name}/load", ModelStatus, _query(version)))

    def unload(self, name: str, *, version: str | None = None) -> ModelStatus:
        """Stop serving a version (administrators). Errors as ``trigger``."""
        return self._send(_Call("POST", f"/v1/models/{name}/unload", ModelStatus, _query(version)))

    def rooms(self) -> list[RoomState]:
        """Who streams now, the oldest first. Errors as ``trigger``."""
        return self._send(_Call("GET", "/v1/rooms", list[RoomState]))

    def ready(self) -> bool:
        """Whether the service may be sent requests. Never raises what the service says."""
        return self._ask(_READY).is_success

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, call: _Call[T]) -> T:
        for attempt in range(1, self._retries.attempts):
            response = self._try(call)
            if response is not None and response.status_code not in _RETRIED:
                return call.read(response)
            time.sleep(self._retries.delay(attempt, response))
        return call.read(self._ask(call))

    def _try(self, call: _Call[T]) -> httpx.Response | None:
        try:
            return self._ask(call)
        except UnreachableError as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                return None
            raise

    def _ask(self, call: _Call[T]) -> httpx.Response:
        try:
            return self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise UnreachableError(self._http.base_url, error) from error


class AsyncClient:
    """The asynchronous client: the same methods, awaited. Use it in an ``async with`` block, or ``close`` it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Talk to the service at ``url``; ``transport`` puts something else in place of the network."""
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(token), timeout=timeout_s, transport=transport)
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
    ) -> TriggerAnswer:
        """As ``Client.trigger``."""
        chosen = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        return await self._send(_trigger(audio, rate, model=model, version=version, **chosen))

    async def digits(
        self, image: Picture, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> DigitsAnswer:
        """As ``Client.digits``."""
        return await self._send(_digits(image, model=model, version=version, threshold=threshold))

    async def emotions(
        self,
        image: Picture,
        *,
        model: str | None = None,
        version: str | None = None,
        threshold: float | None = None,
        annotated: bool = False,
        crops: bool = False,
    ) -> EmotionsAnswer:
        """As ``Client.emotions``."""
        wanted = {"annotated": str(annotated), "crops": str(crops)}
        return await self._send(_emotions(image, model=model, version=version, threshold=threshold, **wanted))

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
    ) -> ObjectsAnswer:
        """As ``Client.objects``."""
        limits = {"score_th": score_th, "nms_iou": nms_iou, "min_height": min_height, "min_width": min_width}
        return await self._send(_objects(image, model=model, version=version, maxResults=max_results, **limits))

    async def entities(self, text: str, *more: str, model: str | None = None) -> EntitiesAnswer:
        """As ``Client.entities``."""
        return await self._send(_entities(text, more, model))

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None
    ) -> dict[str, Any]:
        """As ``Client.infer``."""
        return _arrays(await self._send(_infer(model, inputs, version)))

    async def models(self) -> list[ModelStatus]:
        """As ``Client.models``."""
        return await self._send(_Call("GET", "/v1/models", list[ModelStatus]))

    async def model(self, name: str, *, version: str | None = None) -> ModelCard:
        """As ``Client.model``."""
        return await self._send(_Call("GET", f"/v1/models/{name}", ModelCard, _query(version)))

    async def load(self, name: str, *, version: str | None = None) -> ModelStatus:
        """As ``Client.load``."""
        return await self._send(_Call("POST", f"/v1/models/{name}/load", ModelStatus, _query(version)))

    async def unload(self, name: str, *, version: str | None = None) -> ModelStatus:
        """As ``Client.unload``."""
        return await self._send(_Call("POST", f"/v1/models/{name}/unload", ModelStatus, _query(version)))

    async def rooms(self) -> list[RoomState]:
        """As ``Client.rooms``."""
        return await self._send(_Call("GET", "/v1/rooms", list[RoomState]))

    async def ready(self) -> bool:
        """As ``Client.ready``."""
        return (await self._ask(_READY)).is_success

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _send(self, call: _Call[T]) -> T:
        for attempt in range(1, self._retries.attempts):
            response = await self._try(call)
            if response is not None and response.status_code not in _RETRIED:
                return call.read(response)
            await asyncio.sleep(self._retries.delay(attempt, response))
        return call.read(await self._ask(call))

    async def _try(self, call: _Call[T]) -> httpx.Response | None:
        try:
            return await self._ask(call)
        except UnreachableError as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                return None
            raise

    async def _ask(self, call: _Call[T]) -> httpx.Response:
        try:
            return await self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise UnreachableError(self._http.base_url, error) from error


def _trigger(audio: Audio, rate: int, **options: _Option) -> _Call[TriggerAnswer]:
    return _Call("POST", "/v1/trigger", TriggerAnswer, {"files": {"audio": _file(audio, rate)}, "data": _form(options)})


def _digits(image: Picture, **options: str | float | None) -> _Call[DigitsAnswer]:
    return _Call("POST", "/v1/digits", DigitsAnswer, {"files": {"image": _file(image)}, "data": _form(options)})


def _emotions(image: Picture, **options: str | float | None) -> _Call[EmotionsAnswer]:
    return _Call("POST", "/v1/emotions", EmotionsAnswer, {"files": {"image": _file(image)}, "data": _form(options)})


def _objects(image: Picture, **options: str | float | None) -> _Call[ObjectsAnswer]:
    return _Call("POST", "/v1/objects", ObjectsAnswer, {"files": {"image": _file(image)}, "data": _form(options)})


def _entities(text: str, more: Sequence[str], model: str | None) -> _Call[EntitiesAnswer]:
    body = {"text": text, "texts": [*more], "model": model}
    return _Call("POST", "/v1/entities", EntitiesAnswer, {"json": body})


def _form(options: Mapping[str, _Option]) -> dict[str, str | list[str]]:
    """What was given, as a form's fields; a sequence is a field that comes several times."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, str | float | int) else [*value] for name, value in given.items()}


def _infer(model: str, inputs: Mapping[str, NDArray[Any]], version: str | None) -> _Call[dict[str, Any]]:
    path = f"/v2/models/{model}/versions/{version}/infer" if version else f"/v2/models/{model}/infer"
    tensors = [
        {"name": name, "shape": list(x.shape), "datatype": _DATATYPES[str(x.dtype)], "data": x.reshape(-1).tolist()}
        for name, x in inputs.items()
    ]
    return _Call("POST", path, dict[str, Any], {"json": {"inputs": tensors}})


def _arrays(answer: dict[str, Any]) -> dict[str, Any]:
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
    import soundfile  # only samples need it

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def _query(version: str | None) -> dict[str, Any]:
    return {"params": {"version": version}} if version else {}


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
