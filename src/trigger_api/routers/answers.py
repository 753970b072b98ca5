"""From the results of tasks to schemas: shared by the routes of ``/v1`` and those of the original services."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_api.media.boxes import Box
from trigger_api.schemas import (
    Detection,
    DigitsAnswer,
    EmotionsAnswer,
    EntitiesAnswer,
    FoundDigit,
    FoundFace,
    FoundObject,
    FractionBox,
    Landmarks,
    ObjectsAnswer,
    PixelBox,
    Point,
    ScoreCurve,
    TextEntities,
    TriggerAnswer,
    WordDetections,
)
from trigger_api.tasks.digits.task import Digit, DigitsResult
from trigger_api.tasks.emotions.drawing import annotated_photo, face_crops
from trigger_api.tasks.emotions.task import EmotionsResult, FaceEmotion
from trigger_api.tasks.entities.tagger import Sentence
from trigger_api.tasks.entities.task import EntitiesResult
from trigger_api.tasks.objects.task import DetectedObject, ObjectsResult
from trigger_api.tasks.trigger.task import Curve, TriggerResult


def trigger_answer(results: Sequence[TriggerResult], *, scores: bool = False) -> TriggerAnswer:
    """The detections of one or more words in a recording, and on request each one's scores."""
    first = results[0]
    hits = sorted(((hit, each.word) for each in results for hit in each.detections), key=lambda pair: pair[0].time_ms)
    return TriggerAnswer(
        detected=bool(hits),
        timestamps=[hit.time_ms for hit, _ in hits],
        detections=[Detection(word=word, time_ms=hit.time_ms, score=hit.score) for hit, word in hits],
        duration_ms=first.duration_ms,
        truncated=first.truncated,
        threshold=first.threshold,
        model=first.model,
        version=first.version,
        words=[_word_detections(result, scores) for result in results],
    )


def _word_detections(result: TriggerResult, scores: bool) -> WordDetections:
    return WordDetections(
        word=result.word,
        detected=bool(result.detections),
        timestamps=[hit.time_ms for hit in result.detections],
        threshold=result.threshold,
        model=result.model,
        version=result.version,
        scores=_score_curve(result.curve) if scores and result.curve else None,
    )


def _score_curve(curve: Curve) -> ScoreCurve:
    decision = curve.decision
    return ScoreCurve(
        values=[round(score, 4) for score in curve.scores.tolist()],
        hop_ms=curve.hop_ms,
        patience=decision.patience,
        refractory_ms=decision.refractory_ms,
        delay_ms=decision.delay_ms,
    )


def digits_answer(result: DigitsResult) -> DigitsAnswer:
    """The digits of a picture."""
    return DigitsAnswer(
        detected=bool(result.digits),
        digits=[digit_answer(digit) for digit in result.digits],
        numbers=list(result.numbers),
        lines=list(result.lines),
        width=result.width,
        height=result.height,
        model=result.model,
        version=result.version,
    )


def digit_answer(digit: Digit) -> FoundDigit:
    """One digit of a picture."""
    box = digit.box
    return FoundDigit(
        value=digit.value,
        score=digit.score,
        probabilities=list(digit.probabilities),
        box=PixelBox(x=box.left, y=box.top, width=box.width, height=box.height),
        line=digit.line,
        number=digit.number,
    )


def emotions_answer(result: EmotionsResult, quality: int, annotated: bool, crops: bool) -> EmotionsAnswer:
    """The faces of a photo.

    Args:
        result: of the task.
        quality: of the JPEG files, 1..95.
        annotated: whether to add the annotated photo.
        crops: whether to add the cropped faces.
    """
    height, width = result.pixels.shape[:2]
    pictures = face_crops(result, quality) if crops else [None] * len(result.faces)
    return EmotionsAnswer(
        detected=bool(result.faces),
        faces=[_face_answer(face, crop, result) for face, crop in zip(result.faces, pictures, strict=True)],
        width=width,
        height=height,
        model=result.model,
        version=result.version,
        annotated=annotated_photo(result, quality) if annotated else None,
    )


def _face_answer(face_emotion: FaceEmotion, crop: str | None, result: EmotionsResult) -> FoundFace:
    height, width = result.pixels.shape[:2]
    emotion, probability = result.ranked(face_emotion)[0]
    return FoundFace(
        box=_round_box(face_emotion.face.box, width, height),
        confidence=face_emotion.face.score,
        landmarks=_landmarks(face_emotion),
        emotion=emotion,
        probability=probability,
        probabilities=dict(zip(result.labels, face_emotion.probabilities, strict=True)),
        crop=crop,
    )


def _round_box(box: Box, width: int, height: int) -> PixelBox:
    left, top = min(round(box[0]), width - 1), min(round(box[1]), height - 1)
    right, bottom = min(max(round(box[2]), left + 1), width), min(max(round(box[3]), top + 1), height)
    return PixelBox(x=left, y=top, width=right - left, height=bottom - top)


def _landmarks(face_emotion: FaceEmotion) -> Landmarks | None:
    points = [Point(x=round(x, 1), y=round(y, 1)) for x, y in face_emotion.face.landmarks]
    return Landmarks(**dict(zip(Landmarks.model_fields, points, strict=True))) if points else None


def objects_answer(result: ObjectsResult) -> ObjectsAnswer:
    """The objects of a photo."""
    return ObjectsAnswer(
        detected=bool(result.objects),
        objects=object_answers(result),
        width=result.width,
        height=result.height,
        model=result.model,
        version=result.version,
    )


def object_answers(result: ObjectsResult) -> list[FoundObject]:
    """Each object of a photo."""
    return [
        FoundObject(label=each.label, score=each.score, box=_pixel_box(each, result), normalized=_fraction_box(each))
        for each in result.objects
    ]


def _pixel_box(found: DetectedObject, result: ObjectsResult) -> PixelBox:
    left, right = (round(edge * result.width) for edge in (found.left, found.right))
    top, bottom = (round(edge * result.height) for edge in (found.top, found.bottom))
    return PixelBox(x=left, y=top, width=max(right - left, 1), height=max(bottom - top, 1))


def _fraction_box(found: DetectedObject) -> FractionBox:
    return FractionBox(x=found.left, y=found.top, width=found.right - found.left, height=found.bottom - found.top)


def entities_answer(result: EntitiesResult) -> EntitiesAnswer:
    """The entities of a text and of further texts."""
    first, *rest = map(text_answer, result.texts)
    return EntitiesAnswer(
        tokens=first.tokens, entities=first.entities, results=rest, model=result.model, version=result.version
    )


def text_answer(sentences: Sequence[Sentence]) -> TextEntities:
    """The entities of one text."""
    return TextEntities.model_validate(
        {
            "tokens": [token for sentence in sentences for token in sentence.tokens],
            "entities": [entity for sentence in sentences for entity in sentence.entities],
        }
    )


def entities_answer_size(texts: Sequence[str]) -> int:
    """Roughly how many bytes of objects the answer to some texts has: one token for every few letters."""
    return 32 * sum(map(len, texts))
