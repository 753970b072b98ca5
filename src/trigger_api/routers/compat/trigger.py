"""The original trigger-word service."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from trigger_api.routers.compat.body import Body
from trigger_api.routers.deps import Served
from trigger_api.routers.trigger import Recording
from trigger_api.tasks.trigger.task import Trigger

router = APIRouter(tags=["compatible"])


class PredictAnswer(Body):
    """The answer of the original trigger-word service, its spelling included."""

    success: Literal[True] = True
    detected: bool
    trigget_detected: bool = Field(description="the same, in the spelling of the original")
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")


@router.post("/predict")
async def predict(service: Served, audio: Recording) -> PredictAnswer:
    """The original trigger-word service."""
    (result,) = await service.task(Trigger).predict(await audio.read())
    found = bool(result.detections)
    timestamps = [hit.time_ms for hit in result.detections]
    return PredictAnswer(detected=found, trigget_detected=found, timestamps=timestamps)
