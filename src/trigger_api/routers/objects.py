"""Objects on photos."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form

from trigger_api.routers.deps import ModelName, ModelVersion, Picture, Served, WholeForm
from trigger_api.schemas import FoundObject, FractionBox, ObjectsAnswer, PixelBox
from trigger_api.tasks.objects.task import Thing, View, Wanted

router = APIRouter(prefix="/v1", tags=["objects"], dependencies=[WholeForm])

_DEFAULT = Wanted()


@router.post("/objects")
async def find_objects(
    service: Served,
    image: Picture,
    model: ModelName = None,
    version: ModelVersion = None,
    score_th: Annotated[float, Form(ge=0, le=1, description="least score")] = _DEFAULT.score,
    nms_iou: Annotated[
        float, Form(ge=0, le=1, description="overlap from which two boxes of a class are one object")
    ] = _DEFAULT.overlap,
    min_height: Annotated[float, Form(ge=0, le=1, description="fraction of the photo's height")] = _DEFAULT.height,
    min_width: Annotated[float, Form(ge=0, le=1, description="fraction of the photo's width")] = _DEFAULT.width,
    max_results: Annotated[int, Form(alias="maxResults", ge=1, le=100, description="most objects")] = _DEFAULT.most,
) -> ObjectsAnswer:
    """Say which things of everyday life a photo shows, and where."""
    wanted = Wanted(score_th, nms_iou, min_height, min_width, max_results)
    view = await service.objects.find(await image.read(), wanted, model=model, version=version)
    return ObjectsAnswer(
        detected=bool(view.things),
        objects=found(view),
        width=view.width,
        height=view.height,
        model=view.model,
        version=view.version,
    )


def found(view: View) -> list[FoundObject]:
    """The things of an answer."""
    return [
        FoundObject(
            label=thing.label,
            score=thing.score,
            box=_pixels(thing, view),
            normalized=FractionBox(
                x=thing.left, y=thing.top, width=thing.right - thing.left, height=thing.bottom - thing.top
            ),
        )
        for thing in view.things
    ]


def _pixels(thing: Thing, view: View) -> PixelBox:
    left, right = (round(edge * view.width) for edge in (thing.left, thing.right))
    top, bottom = (round(edge * view.height) for edge in (thing.top, thing.bottom))
    return PixelBox(x=left, y=top, width=max(right - left, 1), height=max(bottom - top, 1))
