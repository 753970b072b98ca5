"""What both clients share: calls, their answers, errors and retries."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trigger_api.schemas import DigitsAnswer, EmotionsAnswer, EntitiesAnswer, ObjectsAnswer, TriggerAnswer

T = TypeVar("T")
Picture = str | Path | bytes | BinaryIO
Audio = Picture | NDArray[Any]
_Option = str | float | Sequence[str] | None

RETRIED = frozenset({429, 502, 503})
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
class Call(Generic[T]):
    """One request and what its answer is. Every attempt sends it anew, so it holds bytes, not open files."""

    method: str
    path: str
    answer: type[T]
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, response: httpx.Response) -> T:
        """The typed answer.

        Raises:
            ProblemError: the service says why there is none.
        """
        if response.is_success:
            return TypeAdapter(self.answer).validate_json(response.content)
        body = response.json() if "json" in response.headers.get("Content-Type", "") else {}
        detail = body.get("detail", response.reason_phrase)
        raise ProblemError(response.status_code, detail, body.get("request_id", ""))


READY = Call("GET", "/health/ready", dict[str, Any])


def trigger(audio: Audio, rate: int, **options: _Option) -> Call[TriggerAnswer]:
    """``POST /v1/trigger``."""
    return Call("POST", "/v1/trigger", TriggerAnswer, {"files": {"audio": _file(audio, rate)}, "data": _form(options)})


def digits(image: Picture, **options: str | float | None) -> Call[DigitsAnswer]:
    """``POST /v1/digits``."""
    return Call("POST", "/v1/digits", DigitsAnswer, {"files": {"image": _file(image)}, "data": _form(options)})


def emotions(image: Picture, **options: str | float | None) -> Call[EmotionsAnswer]:
    """``POST /v1/emotions``."""
    return Call("POST", "/v1/emotions", EmotionsAnswer, {"files": {"image": _file(image)}, "data": _form(options)})


def objects(image: Picture, **options: str | float | None) -> Call[ObjectsAnswer]:
    """``POST /v1/objects``."""
    return Call("POST", "/v1/objects", ObjectsAnswer, {"files": {"image": _file(image)}, "data": _form(options)})


def entities(text: str, more: Sequence[str], model: str | None) -> Call[EntitiesAnswer]:
    """``POST /v1/entities``."""
    body = {"text": text, "texts": [*more], "model": model}
    return Call("POST", "/v1/entities", EntitiesAnswer, {"json": body})


def _form(options: Mapping[str, _Option]) -> dict[str, str | list[str]]:
    """What was given, as a form's fields; a sequence is a field that comes several times."""
    given = {name: value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, str | float | int) else [*value] for name, value in given.items()}


def infer(model: str, inputs: Mapping[str, NDArray[Any]], version: str | None) -> Call[dict[str, Any]]:
    """``POST /v2/models/.../infer``, with arrays as JSON."""
    path = f"/v2/models/{model}/versions/{version}/infer" if version else f"/v2/models/{model}/infer"
    tensors = [
        {"name": name, "shape": list(x.shape), "datatype": _DATATYPES[str(x.dtype)], "data": x.reshape(-1).tolist()}
        for name, x in inputs.items()
    ]
    return Call("POST", path, dict[str, Any], {"json": {"inputs": tensors}})


def arrays(answer: dict[str, Any]) -> dict[str, Any]:
    """The named output arrays of an answer of ``/v2``."""
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


def query(version: str | None) -> dict[str, Any]:
    """Query parameters that name a version, if one is given."""
    return {"params": {"version": version}} if version else {}


def headers(token: str | None) -> dict[str, str]:
    """The headers that a token is sent in."""
    return {"Authorization": f"Bearer {token}"} if token else {}
