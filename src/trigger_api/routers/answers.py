"""What tasks found, as the API's schemas: shared by the routes of ``/v1`` and those of the original services."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_api.schemas import FoundDigit, FoundObject, FractionBox, PixelBox, TextEntities
from trigger_api.tasks.digits.task import Digit
from trigger_api.tasks.entities.tagger import Sentence
from trigger_api.tasks.objects.task import DetectedObject, ObjectsResult


def digit_answer(digit: Digit) -> FoundDigit:
    """One digit of a picture."""
    box = {"x": digit.box.left, "y": digit.box.top, "width": digit.box.width, "height": digit.box.height}
    return FoundDigit.model_validate(
        {
            "value": digit.value,
            "score": digit.score,
            "probabilities": digit.probabilities,
            "box": box,
            "line": digit.line,
            "number": digit.number,
        }
    )


def object_answers(result: ObjectsResult) -> list[FoundObject]:
    """The objects of a photo."""
    return [
        FoundObject(label=found.label, score=found.score, box=_pixels(found, result), normalized=_fractions(found))
        for found in result.objects
    ]


def text_answer(sentences: Sequence[Sentence]) -> TextEntities:
    """A text's sentences, one after the other."""
    return TextEntities.model_validate(
        {
            "tokens": [token for sentence in sentences for token in sentence.tokens],
            "entities": [entity for sentence in sentences for entity in sentence.entities],
        }
    )


def _fractions(found: DetectedObject) -> FractionBox:
    return FractionBox(x=found.left, y=found.top, width=found.right - found.left, height=found.bottom - found.top)


def _pixels(found: DetectedObject, result: ObjectsResult) -> PixelBox:
    left, right = (round(edge * result.width) for edge in (found.left, found.right))
    top, bottom = (round(edge * result.height) for edge in (found.top, found.bottom))
    return PixelBox(x=left, y=top, width=max(right - left, 1), height=max(bottom - top, 1))
