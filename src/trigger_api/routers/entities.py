"""Named entities in texts."""

from __future__ import annotations

from fastapi import APIRouter

from trigger_api.routers.answers import text_answer
from trigger_api.routers.deps import Served
from trigger_api.schemas import EntitiesAnswer, EntitiesRequest
from trigger_api.tasks.entities.task import Entities, EntitiesResult

router = APIRouter(prefix="/v1", tags=["entities"])


@router.post("/entities")
async def find_entities(service: Served, body: EntitiesRequest) -> EntitiesAnswer:
    """Say which people, organisations, places and other things texts name, and where."""
    texts = [body.text, *body.texts]
    result = await service.task(Entities).predict(texts, model=body.model)
    return await service.engine.preprocess(answer, result, size=answer_size(texts))


def answer(result: EntitiesResult) -> EntitiesAnswer:
    """What our own clients read."""
    first, *rest = map(text_answer, result.texts)
    return EntitiesAnswer(
        tokens=first.tokens, entities=first.entities, results=rest, model=result.model, version=result.version
    )


def answer_size(texts: list[str]) -> int:
    """Bytes, about, that building the answer to some texts goes through: a token's object for every few letters."""
    return 32 * sum(map(len, texts))
