"""Handwritten digits on pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.history.media import Media
from trigger_api.routers.answers import digits_answer
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, StrictForm
from trigger_api.routers.recorder import Recorded
from trigger_api.schemas import DigitsAnswer
from trigger_api.tasks.digits.task import Digits

router = APIRouter(prefix="/v1", tags=["digits"], dependencies=[StrictForm])


@router.post("/digits")
async def read_digits(
    service: Served,
    recorder: Recorded,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="probability from which it is a digit")] = None,
) -> DigitsAnswer:
    """Read every digit on a picture: line by line, each from left to right."""
    data = await image.read()
    result = await service.task(Digits).predict(data, model=model, version=version, threshold=threshold)
    return await recorder.keep(digits_answer(result), Media(data, image.filename), task=Digits.name)
