"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from numpy.typing import NDArray

from trigger_api.client import calls
from trigger_api.client.calls import READY, RETRIED, Audio, Call, Picture, Retries, UnreachableError
from trigger_api.model_card import ModelCard
from trigger_api.schemas import (
    Account,
    DigitsAnswer,
    EmotionsAnswer,
    EntitiesAnswer,
    LoginSession,
    ModelStatus,
    NewToken,
    ObjectsAnswer,
    RoomState,
    Sensitivity,
    Token,
    TokenScope,
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
        """Connect to the service at ``url``; ``transport`` replaces the network, for instance in tests."""
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
        """Detect trigger words in a recording.

        Args:
            audio: a file's path, its bytes, an open file, or samples of shape ``(n,)`` from -1 to 1.
            rate: sample rate of samples, Hz.
            model: a model; the default one if not given.
            version: a version of it; the stable or latest one if not given.
            sensitivity: low, medium or high, instead of a threshold.
            threshold: score from which a word counts as detected, from 0 to 1.
            words: the words to detect, instead of a model; ``*`` for every known word.

        Raises:
            ProblemError: the service answered with an error.
            UnreachableError: the service could not be reached.
        """
        options = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        return self._send(calls.trigger(audio, rate, model=model, version=version, **options))

    def digits(
        self, image: Picture, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> DigitsAnswer:
        """Read the digits in a picture: a file's path, its bytes, or an open file. Raises as ``trigger`` does."""
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
        """Find faces and their emotions in a photo, given as in ``digits``. Raises as ``trigger`` does."""
        options = {"annotated": str(annotated), "crops": str(crops)}
        return self._send(calls.emotions(image, model=model, version=version, threshold=threshold, **options))

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
        """Detect objects in a photo, given as in ``digits``. Raises as ``trigger`` does."""
        limits = {"score_th": score_th, "nms_iou": nms_iou, "min_height": min_height, "min_width": min_width}
        return self._send(calls.objects(image, model=model, version=version, maxResults=max_results, **limits))

    def entities(self, text: str, *more: str, model: str | None = None) -> EntitiesAnswer:
        """Find the named entities in one or more texts. Raises as ``trigger`` does."""
        return self._send(calls.entities(text, more, model))

    def infer(self, model: str, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None) -> dict[str, Any]:
        """Run a model on arrays by name, whose first axis is the batch. Raises as ``trigger`` does."""
        return calls.arrays(self._send(calls.infer(model, inputs, version)))

    def models(self) -> list[ModelStatus]:
        """Every version of every model, with its status. Raises as ``trigger`` does."""
        return self._send(Call("GET", "/v1/models", list[ModelStatus]))

    def model(self, name: str, *, version: str | None = None) -> ModelCard:
        """The card of a model. Raises as ``trigger`` does."""
        return self._send(Call("GET", f"/v1/models/{name}", ModelCard, calls.query(version)))

    def load(self, name: str, *, version: str | None = None) -> ModelStatus:
        """Load or reload a version (administrators only). Raises as ``trigger`` does."""
        return self._send(Call("POST", f"/v1/models/{name}/load", ModelStatus, calls.query(version)))

    def unload(self, name: str, *, version: str | None = None) -> ModelStatus:
        """Stop serving a version (administrators only). Raises as ``trigger`` does."""
        return self._send(Call("POST", f"/v1/models/{name}/unload", ModelStatus, calls.query(version)))

    def rooms(self) -> list[RoomState]:
        """The rooms that are streaming now, the oldest stream first. Raises as ``trigger`` does."""
        return self._send(Call("GET", "/v1/rooms", list[RoomState]))

    def sign_up(self, name: str, password: str) -> Account:
        """Make an account, where the service lets everybody. Raises as ``trigger`` does."""
        return self._send(calls.sign_up(name, password))

    def log_in(self, name: str, password: str) -> LoginSession:
        """Log in: from now on the requests are those of an account. Raises as ``trigger`` does."""
        call = calls.log_in(name, password)
        return call.read(self._request(call))  # not sent again: another attempt would count against the limit

    def log_out(self) -> None:
        """End the session. Raises as ``trigger`` does."""
        self._send(calls.LOG_OUT)

    def account(self) -> Account:
        """The account that is logged in. Raises as ``trigger`` does."""
        return self._send(calls.ACCOUNT)

    def tokens(self) -> list[Token]:
        """The API tokens of the account, the newest first. Raises as ``trigger`` does."""
        return self._send(calls.TOKENS)

    def create_token(
        self, name: str, *, scopes: Sequence[TokenScope] = ("predict",), days: float | None = 90
    ) -> NewToken:
        """Make an API token that expires after ``days`` days; None for never. Raises as ``trigger`` does.

        Its secret is in this answer, and nowhere else.
        """
        return self._send(calls.create_token(name, scopes, days))

    def revoke_token(self, token_id: UUID | str) -> None:
        """Revoke an API token. Raises as ``trigger`` does."""
        self._send(calls.revoke_token(token_id))

    def ready(self) -> bool:
        """Whether the service is ready. Raises ``UnreachableError``, but never ``ProblemError``."""
        return self._request(READY).is_success

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
        return call.read(self._request(call))

    def _try(self, call: Call[T]) -> httpx.Response | None:
        try:
            return self._request(call)
        except UnreachableError as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                return None
            raise

    def _request(self, call: Call[T]) -> httpx.Response:
        try:
            return self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise UnreachableError(self._http.base_url, error) from error
