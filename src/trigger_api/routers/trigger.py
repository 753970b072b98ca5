"""Trigger words in recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import StringConstraints

from trigger_api.routers.deps import ModelName, ModelVersion, Served, WholeForm
from trigger_api.schemas import Detection, HeardWord, Sensitivity, TriggerAnswer
from trigger_api.tasks.trigger.task import Trigger, TriggerResult

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
    results = await service.task(Trigger).predict(
        await audio.read(),
        model=model,
        version=version,
        words=word or (),
        sensitivity=sensitivity,
        threshold=threshold,
    )
    return answer(results)


def answer(results: Sequence[TriggerResult]) -> TriggerAnswer:
    """What our own clients read."""
    hits = sorted(((hit, one.word) for one in results for hit in one.detections), key=lambda pair: pair[0].time_ms)
    return TriggerAnswer(
        detected=bool(hits),
        timestamps=[hit.time_ms for hit, _ in hits],
        detections=[Detection(word=word, time_ms=hit.time_ms, score=hit.score) for hit, word in hits],
        duration_ms=results[0].duration_ms,
        threshold=results[0].threshold,
        model=results[0].model,
        version=results[0].version,
        words=[_word(one) for one in results],
    )


def _word(result: TriggerResult) -> HeardWord:
    return HeardWord(
        word=result.word,
        detected=bool(result.detections),
        timestamps=[hit.time_ms for hit in result.detections],
        threshold=result.threshold,
        model=result.model,
        version=result.version,
    )
