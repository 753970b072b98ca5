"""The original trigger-word service."""

from __future__ import annotations

from fastapi import APIRouter

from trigger_api.routers.deps import Served
from trigger_api.routers.trigger import Recording
from trigger_api.schemas import PredictAnswer
from trigger_api.tasks.trigger.task import Trigger

router = APIRouter(tags=["compatible"])


@router.post("/predict")
async def predict(service: Served, audio: Recording) -> PredictAnswer:
    """The original trigger-word service."""
    (result,) = await service.task(Trigger).predict(await audio.read())
    found = bool(result.detections)
    timestamps = [hit.time_ms for hit in result.detections]
    return PredictAnswer(detected=found, trigget_detected=found, timestamps=timestamps)
