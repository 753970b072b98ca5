"""Objects on photos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.routers.answers import object_answers
from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, WholeForm
from trigger_api.schemas import ObjectsAnswer
from trigger_api.tasks.objects.task import DetectionOptions, Objects

router = APIRouter(prefix="/v1", tags=["objects"], dependencies=[WholeForm])

_DEFAULT = DetectionOptions()


@router.post("/objects")
async def find_objects(
    service: Served,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    score_th: Annotated[float, Form(ge=0, le=1, description="least score")] = _DEFAULT.score_threshold,
    nms_iou: Annotated[
        float, Form(ge=0, le=1, description="overlap from which two boxes of a class are one object")
    ] = _DEFAULT.iou_threshold,
    min_height: Annotated[float, Form(ge=0, le=1, description="fraction of the photo's height")] = _DEFAULT.min_height,
    min_width: Annotated[float, Form(ge=0, le=1, description="fraction of the photo's width")] = _DEFAULT.min_width,
    max_results: Annotated[
        int, Form(alias="maxResults", ge=1, le=100, description="most objects")
    ] = _DEFAULT.max_results,
) -> ObjectsAnswer:
    """Say which things of everyday life a photo shows, and where."""
    options = DetectionOptions(score_th, nms_iou, min_height, min_width, max_results)
    result = await service.task(Objects).predict(await image.read(), options, model=model, version=version)
    return ObjectsAnswer(
        detected=bool(result.objects),
        objects=object_answers(result),
        width=result.width,
        height=result.height,
        model=result.model,
        version=result.version,
    )
