"""Photos annotated with the emotions of their faces, and crops of the faces: JPEG files in base64."""

from __future__ import annotations

from trigger_api.media import drawing
from trigger_api.media.image import to_base64
from trigger_api.tasks.emotions.task import EmotionsResult


def annotated_photo(result: EmotionsResult, quality: int) -> str:
    """The photo with each face framed, numbered and labelled. ``quality`` is that of the JPEG file, 1..95."""
    labelled = [
        (face_emotion.face.box, f"{number}. {label} {probability:.0%}")
        for number, face_emotion in enumerate(result.faces, 1)
        for label, probability in result.ranked(face_emotion)[:1]
    ]
    return to_base64(drawing.annotate(result.pixels, labelled, quality))


def face_crops(result: EmotionsResult, quality: int) -> list[str]:
    """Each face cropped, in the order of the result."""
    return [to_base64(drawing.crop(result.pixels, each.face.box, quality)) for each in result.faces]
