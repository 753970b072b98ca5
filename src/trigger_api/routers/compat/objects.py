"""The original object-detection service, in the style of Google's Vision API."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field, TypeAdapter

from trigger_api.errors import FAILED_IMAGE, ServiceError, UnreadableMedia, UnsupportedMedia
from trigger_api.history.media import Media
from trigger_api.routers.answers import object_answers, objects_answer
from trigger_api.routers.compat.body import json_body, read_json
from trigger_api.routers.deps import Served, decode_picture
from trigger_api.routers.recorder import Recorded, Recorder
from trigger_api.schemas import FoundObject, Kept, Schema
from trigger_api.service import Service
from trigger_api.tasks.objects.task import DetectionOptions, Objects, ObjectsResult

router = APIRouter(tags=["compatible"])


class VisionFeature(Schema):
    """What counts as an object; fields that are absent or null have their defaults."""

    score_th: float | None = Field(default=None, ge=0, le=1, description="the lowest score; default 0.3")
    nms_iou: float | None = Field(
        default=None, ge=0, le=1, description="overlap from which boxes are one object; default 0.4"
    )
    min_height: float | None = Field(
        default=None, ge=0, le=1, description="fraction of the photo's height; default 0.03"
    )
    min_width: float | None = Field(default=None, ge=0, le=1, description="fraction of the photo's width; default 0.03")
    maxResults: int | None = Field(default=None, ge=1, le=100, description="the largest number of objects; default 20")  # noqa: N815


class VisionImage(Schema):
    """A photo."""

    content: str = Field(description="a picture file in base64, with or without the head of a data URL")


class VisionRequest(Schema):
    """One photo, and what counts as an object; only the first feature is used."""

    image: VisionImage
    features: list[VisionFeature | None] | None = Field(default=None, max_length=16)


class VisionRequests(Schema):
    """The request of the original detection service."""

    requests: list[VisionRequest] = Field(min_length=1, max_length=16)


class VisionError(Schema):
    """Why one of several photos could not be read."""

    code: int
    message: str


class VisionResponse(Kept):
    """The objects on one photo, or an error."""

    objects: list[FoundObject] = Field(default=[])
    width: int | None = None
    height: int | None = None
    error: VisionError | None = None


class VisionAnswer(Schema):
    """The answer of the original detection service: one response per request, in their order."""

    success: Literal[True] = True
    responses: list[VisionResponse]


_VisionRequests = TypeAdapter(VisionRequests)


@router.post("/", openapi_extra=json_body(_VisionRequests))
async def annotate(request: Request, service: Served, recorder: Recorded) -> VisionAnswer:
    """The original detection service: photos in base64, each with its own thresholds.

    A photo that cannot be read has an error in its own response, unless none can be read.
    """
    body = await read_json(_VisionRequests, request, service)
    results = await asyncio.gather(*(_detect(service, recorder, each) for each in body.requests))
    failed = [result for result in results if isinstance(result, ServiceError)]
    if len(failed) == len(results):
        raise failed[0]
    return VisionAnswer(responses=[_failure(each) if isinstance(each, ServiceError) else each for each in results])


async def _detect(service: Service, recorder: Recorder, request: VisionRequest) -> VisionResponse | ServiceError:
    feature = next(iter(request.features or ()), None) or VisionFeature()
    try:
        data = await decode_picture(service, request.image.content)
        result = await service.task(Objects).predict(data, _options(feature))
    except (UnreadableMedia, UnsupportedMedia):
        return UnreadableMedia(FAILED_IMAGE)
    except ServiceError as error:
        return error
    return await recorder.keep(_response(result), Media(data), task=Objects.name, kept=lambda: objects_answer(result))


def _options(feature: VisionFeature) -> DetectionOptions:
    options: dict[str, Any] = {
        "score_threshold": feature.score_th,
        "iou_threshold": feature.nms_iou,
        "min_height": feature.min_height,
        "min_width": feature.min_width,
        "max_results": feature.maxResults,
    }
    return replace(DetectionOptions(), **{name: value for name, value in options.items() if value is not None})


def _failure(error: ServiceError) -> VisionResponse:
    return VisionResponse(error=VisionError(code=error.status, message=error.detail))


def _response(result: ObjectsResult) -> VisionResponse:
    return VisionResponse(objects=object_answers(result), width=result.width, height=result.height)
