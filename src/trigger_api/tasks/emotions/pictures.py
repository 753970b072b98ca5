"""Photos with what their faces show written on them, and faces by themselves, as the base64 of JPEG files."""

from __future__ import annotations

from trigger_api.media import drawing
from trigger_api.media.image import to_base64
from trigger_api.tasks.emotions.task import EmotionsResult


def annotated_photo(result: EmotionsResult, quality: int) -> str:
    """The photo with its faces framed, numbered and named. ``quality`` is JPEG's, 1..95."""
    texts = [
        f"{number}. {label} {probability:.0%}"
        for number, face in enumerate(result.faces, 1)
        for label, probability in result.ranked(face)[:1]
    ]
    boxes = [each.face.box for each in result.faces]
    return to_base64(drawing.annotated(result.pixels, zip(boxes, texts, strict=True), quality))


def face_crops(result: EmotionsResult, quality: int) -> list[str]:
    """Each face alone."""
    return [to_base64(drawing.crop(result.pixels, each.face.box, quality)) for each in result.faces]
