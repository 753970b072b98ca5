"""The paths and shapes of the services that this one replaces, over the same tasks."""

from __future__ import annotations

import base64
from functools import lru_cache
from io import BytesIO
from typing import Any, TypeVar

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from trigger_api.errors import MalformedJson, Unprocessable
from trigger_api.media.image import from_base64
from trigger_api.routers import digits
from trigger_api.routers.deps import Served
from trigger_api.routers.entities import flat
from trigger_api.routers.trigger import Recording, hear
from trigger_api.schemas import (
    AlignedAnswer,
    EntitiesRequest,
    ImagePredictAnswer,
    ImagePredictRequest,
    PredictAnswer,
)
from trigger_api.tasks.text.columns import aligned

router = APIRouter(tags=["compatible"])

T = TypeVar("T")
_ImageRequest = TypeAdapter(ImagePredictRequest)
_Text: TypeAdapter[str | EntitiesRequest] = TypeAdapter(str | EntitiesRequest)


def _json_body(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The body in the OpenAPI document: the original clients name no content type, so it is read by hand."""
    schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def parse_json(adapter: TypeAdapter[T], body: bytes) -> T:
    """Read JSON, whatever its content type says.

    Raises:
        MalformedJson: it is none.
        Unprocessable: it is of another shape.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            raise MalformedJson from None
        raise Unprocessable("the body is not of the shape that this path takes") from None


@router.post("/predict")
async def predict(service: Served, audio: Recording) -> PredictAnswer:
    """The original trigger-word service."""
    heard = await hear(service, audio)
    found = bool(heard.detections)
    timestamps = [hit.time_ms for hit in heard.detections]
    return PredictAnswer(detected=found, trigget_detected=found, timestamps=timestamps)


@router.post("/api", openapi_extra=_json_body(_Text))
async def tag(request: Request, service: Served) -> AlignedAnswer:
    """The original named-entity service: a bare JSON string, or an object with `text`."""
    body = parse_json(_Text, await request.body())
    text = body if isinstance(body, str) else body.text
    reading = await service.entities.find([text])
    read = flat(reading.texts[0])
    words, tags = aligned((token.text, token.tag) for token in read.tokens)
    return AlignedAnswer(input=words, output=tags, entities=read.entities)


@router.get("/image-predict")
def sample_image_request() -> ImagePredictRequest:
    """What the original digit service takes: a request to try."""
    return _sample_image_request()


@router.post("/image-predict", openapi_extra=_json_body(_ImageRequest))
async def image_predict(request: Request, service: Served) -> ImagePredictAnswer:
    """The original digit service: a picture in base64."""
    body = parse_json(_ImageRequest, await request.body())
    reading = await service.digits.read(from_base64(body.image))
    return ImagePredictAnswer(
        img_shape=(reading.width, reading.height),
        prediction=reading.digits[0].value if reading.digits else None,
        digits=[digits.found(digit) for digit in reading.digits],
        numbers=list(reading.numbers),
    )


@lru_cache
def _sample_image_request() -> ImagePredictRequest:
    image = PIL.Image.new("L", (48, 48), 255)
    PIL.ImageDraw.Draw(image).text((24, 24), "3", 0, PIL.ImageFont.load_default(32), anchor="mm")
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return ImagePredictRequest(image=base64.b64encode(buffer.getvalue()).decode(), filename="3.png")
