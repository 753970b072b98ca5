"""Trigger words in recordings."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import StringConstraints

from trigger_api.history.media import Media
from trigger_api.routers.answers import trigger_answer
from trigger_api.routers.deps import ModelName, ModelVersion, Served, StrictForm
from trigger_api.routers.recorder import Recorded
from trigger_api.schemas import Sensitivity, TriggerAnswer
from trigger_api.tasks.trigger.task import Trigger

router = APIRouter(prefix="/v1", tags=["trigger"], dependencies=[StrictForm])

WORDS = "instead of a model: one or more words or names of models, in any case; `*` means every known word"
Word = Annotated[str, StringConstraints(max_length=64)]
_FORMATS = "WAV, MP3, FLAC, Ogg, WebM, MP4, M4A, 3GP, AAC and others; any rate, 1-8 channels"
Recording = Annotated[UploadFile, File(description=f"a recording: {_FORMATS}")]


@router.post("/trigger", response_model_exclude_none=True)
async def detect(
    service: Served,
    recorder: Recorded,
    audio: Recording,
    model: ModelName = None,
    version: ModelVersion = None,
    sensitivity: Annotated[Sensitivity | None, Form(description="a threshold measured for the model")] = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="score from which a word is detected")] = None,
    word: Annotated[list[Word] | None, Form(max_length=64, description=WORDS)] = None,
    scores: Annotated[bool, Form(description="also return the score of every hop, of each word")] = False,
) -> TriggerAnswer:
    """Say whether trigger words are in a recording, and when each one ends."""
    data = await audio.read()
    results = await service.task(Trigger).predict(
        data,
        model=model,
        version=version,
        words=[each for each in word or () if each],
        sensitivity=sensitivity,
        threshold=threshold,
    )
    size = sum(result.curve.scores.nbytes for result in results if result.curve) if scores else 0
    answer = await service.engine.preprocess(partial(trigger_answer, scores=scores), results, size=size)
    media = Media(data, audio.filename)
    return await recorder.keep(answer, media, task=Trigger.name, kept=lambda: trigger_answer(results))
