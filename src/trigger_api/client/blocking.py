"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx
from numpy.typing import NDArray

from trigger_api.client import calls
from trigger_api.client.calls import READY, RETRIED, Audio, Call, Picture, Retries, UnreachableError
from trigger_api.model_card import ModelCard
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
        self._http = httpx.Client(base_url=url, headers=calls.headers(token), timeout=timeout_s, transport=transport)
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
        return self._send(calls.trigger(audio, rate, model=model, version=version, **chosen))

    def digits(
        self, image: Picture, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> DigitsAnswer:
        """Read a picture's digits: a file's path, its bytes, or an open file. Errors as ``trigger``."""
        return self._send(calls.digits(image, model=model, version=version, threshold=threshold))

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
        return self._send(calls.emotions(image, model=model, version=version, threshold=threshold, **wanted))

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
        return self._send(calls.objects(image, model=model, version=version, maxResults=max_results, **limits))

    def entities(self, text: str, *more: str, model: str | None = None) -> EntitiesAnswer:
        """Find who and what a text names; further texts are read apart. Errors as ``trigger``."""
        return self._send(calls.entities(text, more, model))

    def infer(self, model: str, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None) -> dict[str, Any]:
        """Tensors in, tensors out, by name; all lead with the batch axis. Errors as ``trigger``."""
        return calls.arrays(self._send(calls.infer(model, inputs, version)))

    def models(self) -> list[ModelStatus]:
        """Every version of every model. Errors as ``trigger``."""
        return self._send(Call("GET", "/v1/models", list[ModelStatus]))

    def model(self, name: str, *, version: str | None = None) -> ModelCard:
        """A model's card. Errors as ``trigger``."""
        return self._send(Call("GET", f"/v1/models/{name}", ModelCard, calls.query(version)))

    def load(self, name: str, *, version: str | None = None) -> ModelStatus:
        """Load a version, or load it anew (administrators). Errors as ``trigger``."""
        return self._send(Call("POST", f"/v1/models/{name}/load", ModelStatus, calls.query(version)))

    def unload(self, name: str, *, version: str | None = None) -> ModelStatus:
        """Stop serving a version (administrators). Errors as ``trigger``."""
        return self._send(Call("POST", f"/v1/models/{name}/unload", ModelStatus, calls.query(version)))

    def rooms(self) -> list[RoomState]:
        """Who streams now, the oldest first. Errors as ``trigger``."""
        return self._send(Call("GET", "/v1/rooms", list[RoomState]))

    def ready(self) -> bool:
        """Whether the service may be sent requests. Never raises what the service says."""
        return self._ask(READY).is_success

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, call: Call[T]) -> T:
        for attempt in range(1, self._retries.attempts):
            response = self._try(call)
            if response is not None and response.status_code not in RETRIED:
                return call.read(response)
            time.sleep(self._retries.delay(attempt, response))
        return call.read(self._ask(call))

    def _try(self, call: Call[T]) -> httpx.Response | None:
        try:
            return self._ask(call)
        except UnreachableError as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                return None
            raise

    def _ask(self, call: Call[T]) -> httpx.Response:
        try:
            return self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise UnreachableError(self._http.base_url, error) from error
