"""JSON bodies of clients that send no content type, which FastAPI would not parse."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from trigger_api.errors import MalformedJson, Unprocessable, format_shape_errors
from trigger_api.service import Service

T = TypeVar("T")


def json_body(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """How the OpenAPI document describes a body that ``read_json`` reads."""
    schema = adapter.json_schema()
    body = _inline(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with its definitions in the place of references to them."""
    if isinstance(schema, list):
        return [_inline(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    own = {key: part for key, part in schema.items() if key != "$ref"}
    return {key: _inline(part, definitions) for key, part in {**named, **own}.items()}


async def read_json(adapter: TypeAdapter[T], request: Request, service: Service) -> T:
    """Read the body as JSON, whatever its content type; a large one is parsed off the event loop.

    Raises:
        MalformedJson: it is not JSON.
        Unprocessable: it does not match the schema.
        Overloaded: too many requests are waiting already.
    """
    body = await request.body()
    return await service.engine.preprocess(_parse, adapter, body, size=len(body))


def _parse(adapter: TypeAdapter[T], body: bytes) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        faults = error.errors()
        if any(fault["type"] == "json_invalid" for fault in faults):
            raise MalformedJson.of(body) from None
        raise Unprocessable(format_shape_errors(faults)) from None
