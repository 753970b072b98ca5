"""The original named-entity service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, TypeAdapter

from trigger_api.history.media import TEXT_TYPE, Media
from trigger_api.routers.answers import entities_answer, entities_answer_size, text_answer
from trigger_api.routers.compat.body import json_body, read_json
from trigger_api.routers.compat.columns import format_columns
from trigger_api.routers.deps import Served
from trigger_api.routers.recorder import Recorded
from trigger_api.schemas import EntitiesRequest, Entity, Kept
from trigger_api.tasks.entities.task import Entities, EntitiesResult

router = APIRouter(tags=["compatible"])


class AlignedAnswer(Kept):
    """The answer of the original named-entity service: words above their tags, in aligned columns."""

    input: str
    output: str
    entities: list[Entity]


def _as_object(body: object) -> object:
    return {"text": body} if isinstance(body, str) else body


_Text: TypeAdapter[EntitiesRequest] = TypeAdapter(
    Annotated[EntitiesRequest, BeforeValidator(_as_object, json_schema_input_type=str | EntitiesRequest)]
)


@router.post("/api", openapi_extra=json_body(_Text))
async def tag(request: Request, service: Served, recorder: Recorded) -> AlignedAnswer:
    """The original named-entity service: a bare JSON string, or an object with `text`."""
    body = await read_json(_Text, request, service)
    result = await service.task(Entities).predict([body.text])
    answer = await service.engine.preprocess(_answer, result, size=entities_answer_size([body.text]))
    media = Media(body.text.encode(), type=TEXT_TYPE)
    return await recorder.keep(answer, media, task=Entities.name, kept=lambda: entities_answer(result))


def _answer(result: EntitiesResult) -> AlignedAnswer:
    tagged = text_answer(result.texts[0])
    words, tags = format_columns((token.text, token.tag) for token in tagged.tokens)
    return AlignedAnswer(input=words, output=tags, entities=tagged.entities)
