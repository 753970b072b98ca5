"""The original digit service."""

from __future__ import annotations

import base64
from functools import lru_cache
from io import BytesIO

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from fastapi import APIRouter, Request
from pydantic import Field, TypeAdapter

from trigger_api.history.media import Media
from trigger_api.routers.answers import digit_answer, digits_answer
from trigger_api.routers.compat.body import json_body, read_json
from trigger_api.routers.deps import Served, decode_picture
from trigger_api.routers.recorder import RecordedIfSignedIn
from trigger_api.schemas import FoundDigit, Kept, Schema
from trigger_api.tasks.digits.task import Digits

router = APIRouter(tags=["compatible"])


class ImagePredictRequest(Schema):
    """The request of the original digit service."""

    image: str = Field(description="a picture file in base64, with or without the head of a data URL")
    filename: str | None = Field(default=None, max_length=1_024, description="its name in the history")


class ImagePredictAnswer(Kept):
    """The answer of the original digit service, with every digit."""

    img_shape: tuple[int, int] = Field(description="width and height")
    prediction: int | None = Field(description="the first digit; null if there is none")
    digits: list[FoundDigit]
    numbers: list[str]


_ImageRequest = TypeAdapter(ImagePredictRequest)


@router.get("/image-predict")
def sample_image_request() -> ImagePredictRequest:
    """A sample request for the original digit service."""
    return _sample_image_request()


@router.post("/image-predict", openapi_extra=json_body(_ImageRequest))
async def image_predict(request: Request, service: Served, recorder: RecordedIfSignedIn) -> ImagePredictAnswer:
    """The original digit service: a picture in base64. It is kept in the history of whoever is signed in."""
    body = await read_json(_ImageRequest, request, service)
    data = await decode_picture(service, body.image)
    result = await service.task(Digits).predict(data)
    answer = ImagePredictAnswer(
        img_shape=(result.width, result.height),
        prediction=result.digits[0].value if result.digits else None,
        digits=[digit_answer(digit) for digit in result.digits],
        numbers=list(result.numbers),
    )
    return await recorder.keep(answer, Media(data, body.filename), task=Digits.name, kept=lambda: digits_answer(result))


@lru_cache
def _sample_image_request() -> ImagePredictRequest:
    image = PIL.Image.new("L", (48, 48), 255)
    PIL.ImageDraw.Draw(image).text((24, 24), "3", 0, PIL.ImageFont.load_default(32), anchor="mm")
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return ImagePredictRequest(image=base64.b64encode(buffer.getvalue()).decode(), filename="3.png")
