"""A prediction that is to be kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json

from trigger_api.history.media import Media
from trigger_api.schemas import DigitsAnswer, EmotionsAnswer, EntitiesAnswer, ObjectsAnswer, TriggerAnswer
from trigger_api.storage.predictions import Row, chunks
from trigger_api.storage.tables import LABEL, NAME, PATH, new_id, now

_MOST_LABELS = 64


@dataclass(frozen=True)
class Record:
    """A prediction with its input.

    Attributes:
        owner_id: the account that it belongs to.
        task: the name of the task.
        path: the route that was called.
        model: the name of the model.
        version: its version.
        duration_ms: how long the prediction took.
        answer: as JSON.
        labels: what was found.
        media: what it was found in.
    """

    owner_id: UUID
    task: str
    path: str
    model: str
    version: str
    duration_ms: float
    answer: dict[str, JsonValue]
    labels: tuple[str, ...] = ()
    media: Media = field(default_factory=Media)
    id: UUID = field(default_factory=new_id)

    @property
    def size(self) -> int:
        """Bytes, as the quota counts them."""
        return len(self.media.content) + self.answer_bytes

    @cached_property
    def answer_bytes(self) -> int:
        """Bytes of the answer."""
        return len(to_json(self.answer, inf_nan_mode="null"))

    def row(self) -> Row:
        """Its row."""
        return {
            "id": self.id, "owner_id": self.owner_id, "created_at": now(), "task": self.task[:NAME],
            "path": self.path[:PATH], "model": self.model[:LABEL], "version": self.version[:NAME],
            "file_name": self.media.file_name, "duration_ms": self.duration_ms, "answer": self.answer,
            "answer_bytes": self.answer_bytes, "media_type": self.media.media_type,
            "media_bytes": len(self.media.content),
        }  # fmt: skip

    def label_rows(self) -> list[Row]:
        """The rows of its labels."""
        row = {"owner_id": self.owner_id, "prediction_id": self.id, "task": self.task[:NAME]}
        return [{**row, "label": each} for each in self.labels]

    def media_rows(self) -> list[Row]:
        """The rows of its media."""
        parts = chunks(memoryview(self.media.content))
        return [{"prediction_id": self.id, "number": n, "content": part} for n, part in enumerate(parts)]


def answer_json(answer: BaseModel) -> dict[str, Any]:
    """An answer as it is kept: without the pictures in it."""
    if isinstance(answer, EmotionsAnswer):
        return answer.model_dump(mode="json", exclude={"annotated": True, "faces": {"__all__": {"crop"}}})
    return answer.model_dump(mode="json")


def labels_of(answer: BaseModel) -> tuple[str, ...]:
    """What an answer found, each once: words, numbers, emotions, classes of objects, types of entities."""
    return clean_labels(_found(answer))


def clean_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels as they are kept: each once, in their order, a bounded number of bounded length."""
    cut = (label.replace("\0", "")[:LABEL] for label in labels)
    return tuple(dict.fromkeys(label for label in cut if label))[:_MOST_LABELS]


def _found(answer: BaseModel) -> Iterable[str]:
    match answer:
        case TriggerAnswer():
            return (hit.word for hit in answer.detections)
        case DigitsAnswer():
            return answer.numbers
        case EmotionsAnswer():
            return (face.emotion for face in answer.faces)
        case ObjectsAnswer():
            return (found.label for found in answer.objects)
        case EntitiesAnswer():
            return (entity.type for text in (answer, *answer.results) for entity in text.entities)
    return ()
