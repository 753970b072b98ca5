"""Emotions of the faces on photos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.history.media import Media
from trigger_api.routers.answers import emotions_answer
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, StrictForm
from trigger_api.routers.recorder import Recorded
from trigger_api.schemas import EmotionsAnswer
from trigger_api.tasks.emotions.task import Emotions

router = APIRouter(prefix="/v1", tags=["emotions"], dependencies=[StrictForm])


@router.post("/emotions")
async def read_emotions(
    service: Served,
    recorder: Recorded,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="confidence from which it is a face")] = None,
    annotated: Annotated[bool, Form(description="also return the photo with boxes and emotions")] = False,
    crops: Annotated[bool, Form(description="also return each face cropped")] = False,
) -> EmotionsAnswer:
    """Find the faces on a photo and say what each shows."""
    data = await image.read()
    result = await service.task(Emotions).predict(data, model=model, version=version, threshold=threshold)
    quality = service.settings.jpeg_quality
    answer = await service.engine.preprocess(emotions_answer, result, quality, annotated, crops)
    return await recorder.keep(answer, Media(data, image.filename), task=Emotions.name)
