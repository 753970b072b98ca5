"""Named entities in texts."""

from __future__ import annotations

from fastapi import APIRouter

from trigger_api.history.media import TEXT_TYPE, Media
from trigger_api.routers.answers import entities_answer, entities_answer_size
from trigger_api.routers.deps import Served
from trigger_api.routers.recorder import Recorded
from trigger_api.schemas import EntitiesAnswer, EntitiesRequest
from trigger_api.tasks.entities.task import Entities

router = APIRouter(prefix="/v1", tags=["entities"])


@router.post("/entities")
async def find_entities(service: Served, recorder: Recorded, body: EntitiesRequest) -> EntitiesAnswer:
    """Find the people, organisations, places and other things that texts name."""
    texts = [body.text, *body.texts]
    result = await service.task(Entities).predict(texts, model=body.model)
    answer = await service.engine.preprocess(entities_answer, result, size=entities_answer_size(texts))
    return await recorder.keep(answer, Media("\n".join(texts).encode(), type=TEXT_TYPE), task=Entities.name)
