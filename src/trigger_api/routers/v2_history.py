"""The history of ``/v2``: its answers have no room for our fields, so headers say whether they were kept."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import BaseModel, JsonValue

from trigger_api.accounts.caller import Caller
from trigger_api.errors import BadRequest
from trigger_api.history.media import Media
from trigger_api.open_inference.tensors import Arrays, datatype_of
from trigger_api.routers.deps import service_of
from trigger_api.routers.recorder import SAVE, Recorder
from trigger_api.schemas import Kept

TASK = "raw"
PARAMETER: dict[str, Any] = {"name": "save", "in": "query", "description": SAVE, "schema": {"type": "boolean"}}
_MOST_VALUES = 4_096  # of a tensor that is kept
_VALUES = {"true": True, "1": True, "false": False, "0": False}


class TensorRecorder:
    """Keeps the outputs of one request."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def keep(self, model: str, version: str, outputs: Arrays) -> dict[str, str]:
        """Keep an answer; what headers say about it.

        Raises:
            ServiceError: the request asks for it, and it could not be done.
        """
        answer = _Tensors(model=model, version=version, outputs=[_tensor(*each) for each in outputs.items()])
        kept = await self._recorder.keep(Kept(), Media(), task=TASK, kept=lambda: answer)
        headers = {"History-Saved": str(bool(kept.saved)).lower()}
        return headers | ({"History-Id": str(kept.history_id)} if kept.history_id else {})


def recorder(request: Request) -> TensorRecorder | None:
    """What keeps the outputs of a request; None if nobody wants that, which costs nothing.

    Raises:
        BadRequest: ``save`` is not true or false.
        Unprocessable, Unauthenticated, StorageUnavailable: the request asks for it, and it cannot be done.
    """
    caller: Caller = request.scope["state"]["caller"]
    if not caller.keeps_history and not request.scope["query_string"]:
        return None
    made = Recorder(service_of(request), caller, request.scope["route"].path, _save(request))
    return TensorRecorder(made) if made.wanted else None


class _Tensors(BaseModel):
    model: str
    version: str
    outputs: list[dict[str, JsonValue]]


def _tensor(name: str, array: Any) -> dict[str, JsonValue]:
    head: dict[str, JsonValue] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
    return {**head, "data": array.reshape(-1).tolist()} if array.size <= _MOST_VALUES else head


def _save(request: Request) -> bool | None:
    given = request.query_params.get("save")
    if given is not None and given.lower() not in _VALUES:
        raise BadRequest("save must be true or false")
    return None if given is None else _VALUES[given.lower()]
