"""The original trigger-word service."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from trigger_api.history.media import Media
from trigger_api.routers.answers import trigger_answer
from trigger_api.routers.deps import Served
from trigger_api.routers.recorder import Recorded
from trigger_api.routers.trigger import Recording
from trigger_api.schemas import Kept
from trigger_api.tasks.trigger.task import Trigger

router = APIRouter(tags=["compatible"])


class PredictAnswer(Kept):
    """The answer of the original trigger-word service, its spelling included."""

    success: Literal[True] = True
    detected: bool
    trigget_detected: bool = Field(description="the same, in the spelling of the original")
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")


@router.post("/predict")
async def predict(service: Served, recorder: Recorded, audio: Recording) -> PredictAnswer:
    """The original trigger-word service."""
    data = await audio.read()
    (result,) = await service.task(Trigger).predict(data)
    found = bool(result.detections)
    timestamps = [hit.time_ms for hit in result.detections]
    answer = PredictAnswer(detected=found, trigget_detected=found, timestamps=timestamps)
    media = Media(data, audio.filename)
    return await recorder.keep(answer, media, task=Trigger.name, kept=lambda: trigger_answer([result]))
