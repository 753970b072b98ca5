"""Handwritten digits on pictures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, WholeForm
from trigger_api.schemas import DigitsAnswer, FoundDigit
from trigger_api.tasks.digits.task import Digit, Reading

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
    return answer(await service.digits.read(await image.read(), model=model, version=version, threshold=threshold))


def answer(reading: Reading) -> DigitsAnswer:
    """What our own clients read."""
    return DigitsAnswer.model_validate(
        {
            "detected": bool(reading.digits),
            "digits": [found(digit) for digit in reading.digits],
            "numbers": reading.numbers,
            "lines": reading.lines,
            "width": reading.width,
            "height": reading.height,
            "model": reading.model,
            "version": reading.version,
        }
    )


def found(digit: Digit) -> FoundDigit:
    """One digit of an answer."""
    box = {"x": digit.box.left, "y": digit.box.top, "width": digit.box.width, "height": digit.box.height}
    return FoundDigit.model_validate(
        {
            "value": digit.value,
            "score": digit.score,
            "probabilities": digit.probabilities,
            "box": box,
            "line": digit.line,
            "number": digit.number,
        }
    )
