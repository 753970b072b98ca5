"""Trigger words in recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import StringConstraints

from trigger_api.errors import Unprocessable
from trigger_api.routers.deps import ModelName, ModelVersion, Served, WholeForm
from trigger_api.schemas import Detection, HeardWord, Sensitivity, TriggerAnswer
from trigger_api.service import Service
from trigger_api.tasks.trigger.task import TriggerResult

router = APIRouter(prefix="/v1", tags=["trigger"], dependencies=[WholeForm])

_WORDS = "instead of a model: words or models' names, in any case, one or several; `*` is every word that is known"
Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Recording = Annotated[UploadFile, File(description="a recording: wav, flac, ogg or mp3, any rate, 1-8 channels")]


@router.post("/trigger")
async def detect(
    service: Served,
    audio: Recording,
    model: ModelName = None,
    version: ModelVersion = None,
    sensitivity: Annotated[Sensitivity | None, Form(description="a threshold that the card has measured")] = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="score from which a word counts")] = None,
    word: Annotated[list[Word] | None, Form(max_length=64, description=_WORDS)] = None,
) -> TriggerAnswer:
    """Say whether trigger words are in a recording, and when each one ends."""
    if not word:
        return answer([await hear(service, audio, model, version, sensitivity, threshold)])
    if model or version:
        raise Unprocessable("give a model or words, not both")
    data = await audio.read()
    return answer(await service.trigger.detect_words(data, word, sensitivity=sensitivity, threshold=threshold))


async def hear(
    service: Service,
    audio: UploadFile,
    model: str | None = None,
    version: str | None = None,
    sensitivity: Sensitivity | None = None,
    threshold: float | None = None,
) -> TriggerResult:
    """Run the task on an uploaded recording."""
    return await service.trigger.detect(
        await audio.read(), model=model, version=version, sensitivity=sensitivity, threshold=threshold
    )


def answer(heard: Sequence[TriggerResult]) -> TriggerAnswer:
    """What our own clients read."""
    hits = sorted(((hit, one.word) for one in heard for hit in one.detections), key=lambda pair: pair[0].time_ms)
    return TriggerAnswer(
        detected=bool(hits),
        timestamps=[hit.time_ms for hit, _ in hits],
        detections=[Detection(word=word, time_ms=hit.time_ms, score=hit.score) for hit, word in hits],
        duration_ms=heard[0].duration_ms,
        threshold=heard[0].threshold,
        model=heard[0].model,
        version=heard[0].version,
        words=[_word(one) for one in heard],
    )


def _word(heard: TriggerResult) -> HeardWord:
    return HeardWord(
        word=heard.word,
        detected=bool(heard.detections),
        timestamps=[hit.time_ms for hit in heard.detections],
        threshold=heard.threshold,
        model=heard.model,
        version=heard.version,
    )
