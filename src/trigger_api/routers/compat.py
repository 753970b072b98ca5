"""The paths and shapes of the services that this one replaces, over the same tasks."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any, TypeVar

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from trigger_api.errors import (
    FAILED_IMAGE,
    MalformedJson,
    ServiceError,
    Unprocessable,
    UnreadableMedia,
    UnsupportedMedia,
)
from trigger_api.routers import digits, objects
from trigger_api.routers.deps import Served, decoded
from trigger_api.routers.entities import flat
from trigger_api.routers.trigger import Recording, hear
from trigger_api.schemas import (
    AlignedAnswer,
    EntitiesRequest,
    ImagePredictAnswer,
    ImagePredictRequest,
    PredictAnswer,
    VisionAnswer,
    VisionError,
    VisionFeature,
    VisionRequest,
    VisionRequests,
    VisionResponse,
)
from trigger_api.service import Service
from trigger_api.tasks.objects import View, Wanted
from trigger_api.tasks.text.columns import aligned

router = APIRouter(tags=["compatible"])

T = TypeVar("T")
_ImageRequest = TypeAdapter(ImagePredictRequest)
_VisionRequests = TypeAdapter(VisionRequests)
_Text: TypeAdapter[str | EntitiesRequest] = TypeAdapter(str | EntitiesRequest)


def json_body(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The body in the OpenAPI document: the original clients name no content type, so it is read by hand."""
    schema = adapter.json_schema()
    inlined = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions where it names them."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    own = {key: part for key, part in schema.items() if key != "$ref"}
    return {key: _inlined(part, definitions) for key, part in {**named, **own}.items()}


async def read_json(adapter: TypeAdapter[T], request: Request, service: Service) -> T:
    """Read the body as JSON, whatever its content type says; a large one is parsed beside the event loop.

    Raises:
        MalformedJson: it is none.
        Unprocessable: it is of another shape.
        Overloaded: too many requests wait already.
    """
    body = await request.body()
    return await service.engine.preprocess(_parsed, adapter, body, size=len(body))


def _parsed(adapter: TypeAdapter[T], body: bytes) -> T:
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


@router.post("/api", openapi_extra=json_body(_Text))
async def tag(request: Request, service: Served) -> AlignedAnswer:
    """The original named-entity service: a bare JSON string, or an object with `text`."""
    body = await read_json(_Text, request, service)
    text = body if isinstance(body, str) else body.text
    reading = await service.entities.find([text])
    read = flat(reading.texts[0])
    words, tags = aligned((token.text, token.tag) for token in read.tokens)
    return AlignedAnswer(input=words, output=tags, entities=read.entities)


@router.get("/image-predict")
def sample_image_request() -> ImagePredictRequest:
    """What the original digit service takes: a request to try."""
    return _sample_image_request()


@router.post("/image-predict", openapi_extra=json_body(_ImageRequest))
async def image_predict(request: Request, service: Served) -> ImagePredictAnswer:
    """The original digit service: a picture in base64."""
    body = await read_json(_ImageRequest, request, service)
    reading = await service.digits.read(await decoded(service, body.image))
    return ImagePredictAnswer(
        img_shape=(reading.width, reading.height),
        prediction=reading.digits[0].value if reading.digits else None,
        digits=[digits.found(digit) for digit in reading.digits],
        numbers=list(reading.numbers),
    )


@router.post("/", openapi_extra=json_body(_VisionRequests))
async def annotate(request: Request, service: Served) -> VisionAnswer:
    """The original detection service: photos in base64, each with what counts on it.

    A photo that cannot be read has its error in its own response, unless no photo can be read.
    """
    body = await read_json(_VisionRequests, request, service)
    views = await asyncio.gather(*(_look(service, one) for one in body.requests))
    failed = [view for view in views if isinstance(view, ServiceError)]
    if len(failed) == len(views):
        raise failed[0]
    return VisionAnswer(responses=[_response(view) for view in views])


async def _look(service: Service, request: VisionRequest) -> View | ServiceError:
    feature = next(iter(request.features or ()), None) or VisionFeature()
    try:
        data = await decoded(service, request.image.content)
        return await service.objects.find(data, _wanted(feature))
    except (UnreadableMedia, UnsupportedMedia):
        return UnreadableMedia(FAILED_IMAGE)
    except ServiceError as error:
        return error


def _wanted(feature: VisionFeature) -> Wanted:
    given: dict[str, Any] = {
        "score": feature.score_th,
        "overlap": feature.nms_iou,
        "height": feature.min_height,
        "width": feature.min_width,
        "most": feature.maxResults,
    }
    return replace(Wanted(), **{name: value for name, value in given.items() if value is not None})


def _response(view: View | ServiceError) -> VisionResponse:
    if isinstance(view, ServiceError):
        return VisionResponse(error=VisionError(code=view.status, message=view.detail))
    return VisionResponse(objects=objects.found(view), width=view.width, height=view.height)


@lru_cache
def _sample_image_request() -> ImagePredictRequest:
    image = PIL.Image.new("L", (48, 48), 255)
    PIL.ImageDraw.Draw(image).text((24, 24), "3", 0, PIL.ImageFont.load_default(32), anchor="mm")
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return ImagePredictRequest(image=base64.b64encode(buffer.getvalue()).decode(), filename="3.png")
