"""Emotions of the faces on photos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.media.boxes import Box
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, WholeForm
from trigger_api.schemas import EmotionsAnswer, FoundFace, Landmarks, PixelBox, Point
from trigger_api.tasks.emotions.drawing import annotated_photo, face_crops
from trigger_api.tasks.emotions.task import Emotions, EmotionsResult, FaceEmotion

router = APIRouter(prefix="/v1", tags=["emotions"], dependencies=[WholeForm])


@router.post("/emotions")
async def read_emotions(
    service: Served,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    threshold: Annotated[float | None, Form(ge=0, le=1, description="confidence from which it is a face")] = None,
    annotated: Annotated[bool, Form(description="answer the photo with boxes and emotions, too")] = False,
    crops: Annotated[bool, Form(description="answer each face alone, too")] = False,
) -> EmotionsAnswer:
    """Say where the faces on a photo are, and what they show."""
    result = await service.task(Emotions).predict(await image.read(), model=model, version=version, threshold=threshold)
    quality = service.settings.jpeg_quality
    return await service.engine.preprocess(answer, result, quality, annotated, crops)


def answer(result: EmotionsResult, quality: int, annotated: bool, crops: bool) -> EmotionsAnswer:
    """What our own clients read; pictures only if wanted."""
    height, width = result.pixels.shape[:2]
    pictures = face_crops(result, quality) if crops else [None] * len(result.faces)
    return EmotionsAnswer(
        detected=bool(result.faces),
        faces=[_found(*pair, result) for pair in zip(result.faces, pictures, strict=True)],
        width=width,
        height=height,
        model=result.model,
        version=result.version,
        annotated=annotated_photo(result, quality) if annotated else None,
    )


def _found(face_emotion: FaceEmotion, crop: str | None, result: EmotionsResult) -> FoundFace:
    height, width = result.pixels.shape[:2]
    emotion, probability = result.ranked(face_emotion)[0]
    return FoundFace(
        box=_box(face_emotion.face.box, width, height),
        confidence=face_emotion.face.score,
        landmarks=_landmarks(face_emotion),
        emotion=emotion,
        probability=probability,
        probabilities=dict(zip(result.labels, face_emotion.probabilities, strict=True)),
        crop=crop,
    )


def _box(box: Box, width: int, height: int) -> PixelBox:
    left, top = min(round(box[0]), width - 1), min(round(box[1]), height - 1)
    right, bottom = min(max(round(box[2]), left + 1), width), min(max(round(box[3]), top + 1), height)
    return PixelBox(x=left, y=top, width=right - left, height=bottom - top)


def _landmarks(face_emotion: FaceEmotion) -> Landmarks | None:
    points = [Point(x=round(x, 1), y=round(y, 1)) for x, y in face_emotion.face.landmarks]
    return Landmarks(**dict(zip(Landmarks.model_fields, points, strict=True))) if points else None
