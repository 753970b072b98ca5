"""Trigger words in recordings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile

from trigger_api.routers.deps import Served
from trigger_api.schemas import Sensitivity, TriggerAnswer
from trigger_api.service import Service
from trigger_api.tasks.trigger import Hearing

router = APIRouter(prefix="/v1", tags=["trigger"])

Recording = Annotated[UploadFile, File(description="a recording: wav, flac, ogg or mp3, any rate, 1-8 channels")]


@router.post("/trigger")
async def detect(
    service: Served,
    audio: Recording,
    model: Annotated[str | None, Form(max_length=64, description="a trigger model's name")] = None,
    version: Annotated[str | None, Form(max_length=64, description="a number, a label, or `latest`")] = None,
    sensitivity: Annotated[Sensitivity | None, Form(description="a threshold that the card has measured")] = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="score from which a word counts")] = None,
) -> TriggerAnswer:
    """Say whether the trigger word is in a recording, and when each one ends."""
    heard = await hear(service, audio, model=model, version=version, sensitivity=sensitivity, threshold=threshold)
    return answer(heard)


async def hear(
    service: Service,
    audio: UploadFile,
    *,
    model: str | None = None,
    version: str | None = None,
    sensitivity: Sensitivity | None = None,
    threshold: float | None = None,
) -> Hearing:
    """Run the task on an uploaded recording."""
    return await service.trigger.detect(
        await audio.read(), model=model or None, version=version or None, sensitivity=sensitivity, threshold=threshold
    )


def answer(heard: Hearing) -> TriggerAnswer:
    """What our own clients read."""
    return TriggerAnswer.model_validate(
        {
            "detected": bool(heard.detections),
            "timestamps": [hit.time_ms for hit in heard.detections],
            "detections": heard.detections,
            "duration_ms": heard.duration_ms,
            "threshold": heard.threshold,
            "model": heard.model,
            "version": heard.version,
        }
    )
