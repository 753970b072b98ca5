"""Objects on photos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import Field

from trigger_api.history.media import Media
from trigger_api.routers.answers import objects_answer
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, StrictForm
from trigger_api.routers.recorder import Recorded
from trigger_api.schemas import ObjectsAnswer
from trigger_api.tasks.objects.task import DetectionOptions, Objects

router = APIRouter(prefix="/v1", tags=["objects"], dependencies=[StrictForm])

_DEFAULT = DetectionOptions()

Fraction = Annotated[float, Field(ge=0, le=1)]
ScoreThreshold = Annotated[Fraction, Form(description="the lowest score")]
IouThreshold = Annotated[Fraction, Form(description="overlap from which two boxes of one class are the same object")]
MinHeight = Annotated[Fraction, Form(description="fraction of the photo's height")]
MinWidth = Annotated[Fraction, Form(description="fraction of the photo's width")]
MaxResults = Annotated[int, Form(alias="maxResults", ge=1, le=100, description="the largest number of objects")]


@router.post("/objects")
async def find_objects(
    service: Served,
    recorder: Recorded,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    score_th: ScoreThreshold = _DEFAULT.score_threshold,
    nms_iou: IouThreshold = _DEFAULT.iou_threshold,
    min_height: MinHeight = _DEFAULT.min_height,
    min_width: MinWidth = _DEFAULT.min_width,
    max_results: MaxResults = _DEFAULT.max_results,
) -> ObjectsAnswer:
    """Find everyday objects on a photo."""
    options = DetectionOptions(score_th, nms_iou, min_height, min_width, max_results)
    data = await image.read()
    result = await service.task(Objects).predict(data, options, model=model, version=version)
    return await recorder.keep(objects_answer(result), Media(data, image.filename), task=Objects.name)
