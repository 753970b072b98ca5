"""Named entities in texts."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from trigger_api.routers.deps import Served
from trigger_api.schemas import EntitiesAnswer, EntitiesRequest, TextEntities
from trigger_api.tasks.entities.tagger import Sentence

router = APIRouter(prefix="/v1", tags=["entities"])


@router.post("/entities")
async def find_entities(service: Served, body: EntitiesRequest) -> EntitiesAnswer:
    """Say which people, organisations, places and other things texts name, and where."""
    reading = await service.entities.find([body.text, *body.texts], model=body.model)
    first, *rest = [flat(sentences) for sentences in reading.texts]
    return EntitiesAnswer(
        tokens=first.tokens, entities=first.entities, results=rest, model=reading.model, version=reading.version
    )


def flat(sentences: Sequence[Sentence]) -> TextEntities:
    """A text's sentences, one after the other."""
    return TextEntities.model_validate(
        {
            "tokens": [token for sentence in sentences for token in sentence.tokens],
            "entities": [entity for sentence in sentences for entity in sentence.entities],
        }
    )
