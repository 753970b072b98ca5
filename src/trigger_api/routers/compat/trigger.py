"""The original trigger-word service."""

from __future__ import annotations

from fastapi import APIRouter

from trigger_api.routers.deps import Served
from trigger_api.routers.trigger import Recording, hear
from trigger_api.schemas import PredictAnswer

router = APIRouter(tags=["compatible"])


@router.post("/predict")
async def predict(service: Served, audio: Recording) -> PredictAnswer:
    """The original trigger-word service."""
    heard = await hear(service, audio)
    found = bool(heard.detections)
    timestamps = [hit.time_ms for hit in heard.detections]
    return PredictAnswer(detected=found, trigget_detected=found, timestamps=timestamps)
