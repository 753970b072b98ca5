"""The shapes of the Open Inference Protocol's answers, as its specification's REST chapter requires them."""

from __future__ import annotations

from typing import Any

_STRINGS = {"type": "array", "items": {"type": "string"}}
_DATA: dict[str, Any] = {"$ref": "#/$defs/data"}
_DEFS = {
    "data": {"type": "array", "items": {"anyOf": [_DATA, {"type": ["number", "string", "boolean"]}]}},
    "tensor": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
    },
}
_TENSORS = {"type": "array", "items": {"$ref": "#/$defs/tensor"}}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"$defs": _DEFS, "type": "object", "required": [*required], "properties": properties}


SERVER = _object(
    ("name", "version", "extensions"), name={"type": "string"}, version={"type": "string"}, extensions=_STRINGS
)
MODEL = _object(
    ("name", "platform"),
    name={"type": "string"},
    versions=_STRINGS,
    platform={"type": "string"},
    inputs=_TENSORS,
    outputs=_TENSORS,
    properties={"type": "object", "additionalProperties": {"type": "string"}},
)
INFERENCE = _object(
    ("model_name", "outputs"),
    model_name={"type": "string"},
    model_version={"type": "string"},
    id={"type": "string"},
    parameters={"type": "object"},
    outputs={
        "type": "array",
        "items": {"allOf": [{"$ref": "#/$defs/tensor"}, {"required": ["data"], "properties": {"data": _DATA}}]},
    },
)
ERROR = _object(("error",), error={"type": "string"})
