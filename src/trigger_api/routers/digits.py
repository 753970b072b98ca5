"""Handwritten digits on pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.routers.answers import digit_answer
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, WholeForm
from trigger_api.schemas import DigitsAnswer
from trigger_api.tasks.digits.task import Digits, DigitsResult

router = APIRouter(prefix="/v1", tags=["digits"], dependencies=[WholeForm])


@router.post("/digits")
async def read_digits(
    service: Served,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="probability from which it is some digit")] = None,
) -> DigitsAnswer:
    """Read every digit on a picture: line by line, each from left to right."""
    return answer(
        await service.task(Digits).predict(await image.read(), model=model, version=version, threshold=threshold)
    )


def answer(result: DigitsResult) -> DigitsAnswer:
    """What our own clients read."""
    return DigitsAnswer.model_validate(
        {
            "detected": bool(result.digits),
            "digits": [digit_answer(digit) for digit in result.digits],
            "numbers": result.numbers,
            "lines": result.lines,
            "width": result.width,
            "height": result.height,
            "model": result.model,
            "version": result.version,
        }
    )
