"""The original emotion service."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from trigger_api.errors import FAILED_IMAGE, MalformedJson, Unprocessable, UnreadableMedia, UnsupportedMedia
from trigger_api.routers.compat.body import json_body, read_json
from trigger_api.routers.deps import Served, decode_picture
from trigger_api.schemas import EmotionFace, EmotionPicture, EmotionPictureAndFaces, EmotionProbability, EmotionRequest
from trigger_api.service import Service
from trigger_api.tasks.emotions.drawing import annotated_photo, face_crops
from trigger_api.tasks.emotions.task import Emotions, EmotionsResult

router = APIRouter(tags=["compatible"])

_FALLBACK = "inception-resnet"
_Request = TypeAdapter(EmotionRequest)
_BODY = json_body(_Request)


@router.post("/predict_api", openapi_extra=_BODY, response_model_exclude_none=True)
async def predict_emotions(request: Request, service: Served) -> EmotionPictureAndFaces:
    """The original emotion service: a photo in base64 is returned with its faces framed, and each face cropped."""
    return await _predict_with_faces(request, service)


@router.post("/predict_upload_api", openapi_extra=_BODY, response_model_exclude_none=True)
async def predict_uploaded_emotions(request: Request, service: Served) -> EmotionPictureAndFaces:
    """The same, with the name of the uploaded file in `img_name`."""
    return await _predict_with_faces(request, service)


@router.post("/predict_img_only_api", openapi_extra=_BODY, response_model_exclude_none=True)
async def predict_emotions_picture(request: Request, service: Served) -> EmotionPicture:
    """The same without the cropped faces, for a camera."""
    result = await _predict(request, service)
    return await service.engine.preprocess(_picture, result, service.settings.jpeg_quality)


async def _predict_with_faces(request: Request, service: Service) -> EmotionPictureAndFaces:
    result = await _predict(request, service)
    return await service.engine.preprocess(_picture_and_faces, result, service.settings.jpeg_quality)


async def _predict(request: Request, service: Service) -> EmotionsResult:
    body, task = await _body(request, service), service.task(Emotions)
    try:
        data = await decode_picture(service, body.image)
        return await task.predict(data, model=_model(body, task.models))
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
