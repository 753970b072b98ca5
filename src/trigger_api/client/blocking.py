"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        save: bool | None = None,
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
            save: whether to keep the prediction in the history; by default as the account says.

        Raises:
            ProblemError: the service answered with an error.
            UnreachableError: the service could not be reached.
        """
        options = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        return self._send(calls.trigger(audio, rate, save, model=model, version=version, **options))

    def digits(
        self,
        image: Picture,
        *,
        model: str | None = None,
        version: str | None = None,
        threshold: float | None = None,
        save: bool | None = None,
    ) -> DigitsAnswer:
        """Read the digits in a picture: a file's path, its bytes, or an open file. Raises as ``trigger`` does."""
        return self._send(calls.digits(image, save, model=model, version=version, threshold=threshold))

    def emotions(
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
        """Find faces and their emotions in a photo, given as in ``digits``. Raises as ``trigger`` does."""
        options = {"annotated": str(annotated), "crops": str(crops)}
        return self._send(calls.emotions(image, save, model=model, version=version, threshold=threshold, **options))

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
        save: bool | None = None,
    ) -> ObjectsAnswer:
        """Detect objects in a photo, given as in ``digits``. Raises as ``trigger`` does."""
        limits = {"score_th": score_th, "nms_iou": nms_iou, "min_height": min_height, "min_width": min_width}
        return self._send(calls.objects(image, save, model=model, version=version, maxResults=max_results, **limits))

    def entities(self, text: str, *more: str, model: str | None = None, save: bool | None = None) -> EntitiesAnswer:
        """Find the named entities in one or more texts. Raises as ``trigger`` does."""
        return self._send(calls.entities(text, more, model, save))

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

    def reset_password(self, secret: str, new_password: str) -> None:
        """Set a new password with the secret of a link from ``users reset``. Raises as ``trigger`` does."""
        self._send(calls.reset_password(secret, new_password))

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

    def keep_history(self, value: bool) -> Account:
        """Choose whether the account keeps predictions without being asked to for each. Raises as ``trigger`` does."""
        return self._send(calls.keep_history(value))

    def history(
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
        """A page of the history, the newest first. Raises as ``trigger`` does.

        Args:
            task: only predictions of this task.
            label: only those that found this: a word, number, emotion, class or type.
            file_name: only those of files of this name.
            since: only those from then on.
            until: only those before then.
            cursor: ``next`` of the page before.
            limit: predictions on the page, at most 100.
        """
        filters = {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
        return self._send(calls.history(filters, cursor, limit))

    def history_entry(self, history_id: UUID | str) -> HistoryEntry:
        """A prediction in the history, with its answer. Raises as ``trigger`` does."""
        return self._send(calls.history_entry(history_id))

    def history_media(self, history_id: UUID | str) -> bytes:
        """What a prediction in the history was made of. Raises as ``trigger`` does."""
        return self._send(calls.history_media(history_id))

    def export_history(
        self,
        *,
        task: str | None = None,
        label: str | None = None,
        file_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        media: bool = False,
    ) -> Iterator[ExportedEntry]:
        """The predictions that match, as in ``history``, with their answers. Raises as ``trigger`` does.

        With ``media``, what they were made of is added.
        """
        filters = {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
        call = calls.export_history(filters, media)
        with self._http.stream(call.method, call.path, **call.options) as response:
            if response.is_error:
                response.read()
                call.read(response)
            for line in response.iter_lines():
                yield calls.exported(line)

    def delete_prediction(self, history_id: UUID | str) -> None:
        """Delete a prediction from the history. Raises as ``trigger`` does."""
        self._send(calls.delete_prediction(history_id))

    def delete_history(
        self,
        *,
        task: str | None = None,
        label: str | None = None,
        file_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        everything: bool = False,
    ) -> int:
        """Delete the predictions that match, or everything; returns how many there were. Raises as ``trigger`` does."""
        filters = {"task": task, "label": label, "file_name": file_name, "since": since, "until": until}
        return (self._send(calls.delete_history(filters, everything))).deleted

    def submit_job(
        self,
        audio: str | Path,
        *,
        model: str | None = None,
        version: str | None = None,
        sensitivity: Sensitivity | None = None,
        threshold: float | None = None,
        words: Sequence[str] = (),
    ) -> JobStatus:
        """Have a long recording, in a file, searched in the background. Raises as ``trigger`` does.

        The options are those of ``trigger``.
        """
        options = {"sensitivity": sensitivity, "threshold": threshold, "word": words}
        with Path(audio).open("rb") as file:
            call = calls.submit_job(Path(audio).name, file, model=model, version=version, **options)
            return self._send(call)

    def jobs(self, *, cursor: str | None = None, limit: int = 50) -> JobPage:
        """The account's jobs, the newest first. Raises as ``trigger`` does."""
        return self._send(calls.jobs(cursor, limit))

    def job(self, job_id: UUID | str) -> JobStatus:
        """How far a job is. Raises as ``trigger`` does."""
        return self._send(calls.job(job_id))

    def wait_for_job(self, job_id: UUID | str, *, every_s: float = 1.0) -> JobStatus:
        """A job once it is done or has failed. Raises as ``trigger`` does."""
        return _finished(lambda: self.job(job_id), every_s)

    def delete_job(self, job_id: UUID | str) -> None:
        """Cancel a job if it has not finished, and forget it. Raises as ``trigger`` does."""
        self._send(calls.delete_job(job_id))

    def train_word(self, word: str, recordings: Sequence[Audio] = ()) -> TrainingStatus:
        """Have a trigger word trained in the background; it is served once that is done. For administrators.

        Args:
            word: the word or phrase.
            recordings: people saying it, each as in ``trigger`` but without samples; ten already help a lot.

        Raises as ``trigger`` does.
        """
        return self._send(calls.train_word(word, recordings))

    def trainings(self, *, cursor: str | None = None, limit: int = 50) -> TrainingPage:
        """The words that were trained, the newest first. Raises as ``trigger`` does."""
        return self._send(calls.trainings(cursor, limit))

    def training(self, training_id: UUID | str) -> TrainingStatus:
        """How far the training of a word is. Raises as ``trigger`` does."""
        return self._send(calls.training(training_id))

    def wait_for_training(self, training_id: UUID | str, *, every_s: float = 2.0) -> TrainingStatus:
        """A training once it is done or has failed. Raises as ``trigger`` does."""
        return _finished(lambda: self.training(training_id), every_s)

    def delete_training(self, training_id: UUID | str) -> None:
        """Cancel a training if it has not finished, and forget it. Raises as ``trigger`` does."""
        self._send(calls.delete_training(training_id))

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


def _finished(ask: Callable[[], S], every_s: float) -> S:
    while (found := ask()).status not in FINISHED:
        time.sleep(every_s)
    return found
