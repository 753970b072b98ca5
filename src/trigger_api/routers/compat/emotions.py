"""The original emotion service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter

from trigger_api.errors import FAILED_IMAGE, MalformedJson, Unprocessable, UnreadableMedia, UnsupportedMedia
from trigger_api.history.media import Media
from trigger_api.routers.answers import emotions_answer
from trigger_api.routers.compat.body import json_body, read_json
from trigger_api.routers.deps import Served, decode_picture
from trigger_api.routers.recorder import Recorded, RecordedIfSignedIn, Recorder
from trigger_api.schemas import Kept, Schema
from trigger_api.service import Service
from trigger_api.tasks.emotions.drawing import annotated_photo, face_crops
from trigger_api.tasks.emotions.task import Emotions, EmotionsResult

router = APIRouter(tags=["compatible"])

_WHITE_PIXEL = "R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="  # a picture, in base64


class EmotionRequest(Schema):
    """The request of the original emotion service."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": _WHITE_PIXEL, "model": "mobilenetv2"}]})

    image: str = Field(description="a picture file in base64, with or without the head of a data URL")
    model: JsonValue = Field(
        default="inception-resnet",
        description="`inception-resnet`, `mobilenetv2` or `yolo3`; anything else means the first",
    )
    img_name: JsonValue = Field(default=None, description="the name of the uploaded file, for the history")


class EmotionProbability(Schema):
    """The probability of one emotion."""

    emotion: str
    probability: float = Field(ge=0, le=1)


class EmotionFace(Schema):
    """One face in an answer of the original emotion service."""

    face: str = Field(description="the cropped face, a JPEG file in base64")
    prediction: list[EmotionProbability] = Field(description="every emotion, the most likely one first")


class EmotionPicture(Kept):
    """The answer of the original emotion service without its faces."""

    found: bool
    image: str | None = Field(
        default=None, description="the photo with boxes and emotions, a JPEG file in base64; absent if no face is found"
    )


class EmotionPictureAndFaces(EmotionPicture):
    """The answer of the original emotion service."""

    faces: list[EmotionFace] | None = Field(default=None, description="absent if no face is found")


P = TypeVar("P", bound=EmotionPicture)
_FALLBACK = "inception-resnet"
_Request = TypeAdapter(EmotionRequest)
_BODY = json_body(_Request)


@router.post("/predict_api", openapi_extra=_BODY, response_model_exclude_none=True)
async def predict_emotions(request: Request, service: Served, recorder: Recorded) -> EmotionPictureAndFaces:
    """The original emotion service: a photo in base64 is returned with its faces framed, and each face cropped."""
    return await _answer(request, service, recorder, _picture_and_faces)


@router.post("/predict_upload_api", openapi_extra=_BODY, response_model_exclude_none=True)
async def predict_uploaded_emotions(
    request: Request, service: Served, recorder: RecordedIfSignedIn
) -> EmotionPictureAndFaces:
    """The same. The photo is kept in the history of whoever is signed in, by the name in `img_name`."""
    return await _answer(request, service, recorder, _picture_and_faces)


@router.post("/predict_img_only_api", openapi_extra=_BODY, response_model_exclude_none=True)
async def predict_emotions_picture(request: Request, service: Served, recorder: Recorded) -> EmotionPicture:
    """The same without the cropped faces, for a camera."""
    return await _answer(request, service, recorder, _picture)


async def _answer(
    request: Request, service: Service, recorder: Recorder, draw: Callable[[EmotionsResult, int], P]
) -> P:
    quality = service.settings.jpeg_quality
    result, media = await _predict(await _body(request, service), service)
    answer = await service.engine.preprocess(draw, result, quality)
    return await recorder.keep(
        answer, media, task=Emotions.name, kept=lambda: emotions_answer(result, quality, False, False)
    )


async def _predict(body: EmotionRequest, service: Service) -> tuple[EmotionsResult, Media]:
    task, name = service.task(Emotions), body.img_name if isinstance(body.img_name, str) else None
    try:
        data = await decode_picture(service, body.image)
        return await task.predict(data, model=_model(body, task.models)), Media(data, name)
    except (UnreadableMedia, UnsupportedMedia):
        raise UnreadableMedia(FAILED_IMAGE) from None


async def _body(request: Request, service: Service) -> EmotionRequest:
    try:
        return await read_json(_Request, request, service)
    except Unprocessable as error:
        raise MalformedJson(error.detail) from None


def _model(body: EmotionRequest, names: list[str]) -> str | None:
    """The requested model, the original service's default, or else ours."""
    return next((name for name in (body.model, _FALLBACK) if name in names), None)


def _picture(result: EmotionsResult, quality: int) -> EmotionPicture:
    found = bool(result.faces)
    return EmotionPicture(found=found, image=annotated_photo(result, quality) if found else None)


def _picture_and_faces(result: EmotionsResult, quality: int) -> EmotionPictureAndFaces:
    if not result.faces:
        return EmotionPictureAndFaces(found=False)
    pairs = zip(result.faces, face_crops(result, quality), strict=True)
    return EmotionPictureAndFaces(
        found=True,
        image=annotated_photo(result, quality),
        faces=[
            EmotionFace(
                face=picture,
                prediction=[EmotionProbability(emotion=x, probability=p) for x, p in result.ranked(face_emotion)],
            )
            for face_emotion, picture in pairs
        ],
    )
