"""JSON bodies of clients that name no content type, read by hand."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from trigger_api.errors import MalformedJson, Unprocessable
from trigger_api.service import Service

T = TypeVar("T")


def json_body(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The body in the OpenAPI document: the original clients name no content type, so it is read by hand."""
    schema = adapter.json_schema()
    inlined = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions where it names them."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    own = {key: part for key, part in schema.items() if key != "$ref"}
    return {key: _inlined(part, definitions) for key, part in {**named, **own}.items()}


async def read_json(adapter: TypeAdapter[T], request: Request, service: Service) -> T:
    """Read the body as JSON, whatever its content type says; a large one is parsed beside the event loop.

    Raises:
        MalformedJson: it is none.
        Unprocessable: it is of another shape.
        Overloaded: too many requests wait already.
    """
    body = await request.body()
    return await service.engine.preprocess(_parsed, adapter, body, size=len(body))


def _parsed(adapter: TypeAdapter[T], body: bytes) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            raise MalformedJson from None
        raise Unprocessable("the body is not of the shape that this path takes") from None
