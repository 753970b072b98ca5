"""Emotions of the faces on photos."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.media import drawing
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, WholeForm
from trigger_api.schemas import EmotionsAnswer, FoundFace, Landmarks, PixelBox, Point
from trigger_api.tasks.emotions.task import Expression, Portrait
from trigger_api.tasks.faces.task import Box

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
    portrait = await service.emotions.read(await image.read(), model=model, version=version, threshold=threshold)
    quality = service.settings.jpeg_quality
    return await service.engine.preprocess(answer, portrait, quality, annotated, crops)


def answer(portrait: Portrait, quality: int, annotated: bool, crops: bool) -> EmotionsAnswer:
    """What our own clients read; pictures only if wanted."""
    height, width = portrait.pixels.shape[:2]
    pictures = faces(portrait, quality) if crops else [None] * len(portrait.faces)
    return EmotionsAnswer(
        detected=bool(portrait.faces),
        faces=[_found(*pair, portrait) for pair in zip(portrait.faces, pictures, strict=True)],
        width=width,
        height=height,
        model=portrait.model,
        version=portrait.version,
        annotated=whole(portrait, quality) if annotated else None,
    )


def whole(portrait: Portrait, quality: int) -> str:
    """The photo with its faces numbered, as the base64 of a JPEG file."""
    texts = [
        f"{number}. {best[0]} {best[1]:.0%}"
        for number, face in enumerate(portrait.faces, 1)
        for best in ranked(face, portrait)[:1]
    ]
    boxes = [expression.face.box for expression in portrait.faces]
    return _base64(drawing.annotated(portrait.pixels, zip(boxes, texts, strict=True), quality))


def faces(portrait: Portrait, quality: int) -> list[str]:
    """Each face alone, as the base64 of a JPEG file."""
    return [_base64(drawing.crop(portrait.pixels, each.face.box, quality)) for each in portrait.faces]


def ranked(expression: Expression, portrait: Portrait) -> list[tuple[str, float]]:
    """Emotions and their probabilities, likeliest first."""
    pairs = zip(portrait.labels, expression.probabilities, strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


def _found(expression: Expression, crop: str | None, portrait: Portrait) -> FoundFace:
    height, width = portrait.pixels.shape[:2]
    emotion, probability = ranked(expression, portrait)[0]
    return FoundFace(
        box=_box(expression.face.box, width, height),
        confidence=expression.face.score,
        landmarks=_landmarks(expression),
        emotion=emotion,
        probability=probability,
        probabilities=dict(zip(portrait.labels, expression.probabilities, strict=True)),
        crop=crop,
    )


def _box(box: Box, width: int, height: int) -> PixelBox:
    left, top = min(round(box[0]), width - 1), min(round(box[1]), height - 1)
    right, bottom = min(max(round(box[2]), left + 1), width), min(max(round(box[3]), top + 1), height)
    return PixelBox(x=left, y=top, width=right - left, height=bottom - top)


def _landmarks(expression: Expression) -> Landmarks | None:
    points = [Point(x=round(x, 1), y=round(y, 1)) for x, y in expression.face.landmarks]
    return Landmarks(**dict(zip(Landmarks.model_fields, points, strict=True))) if points else None


def _base64(file: bytes) -> str:
    return base64.b64encode(file).decode()
