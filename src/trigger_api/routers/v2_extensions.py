"""Extensions of the Open Inference Protocol that are absent: a clear answer on each of their paths.

Source: Triton's documents of its protocol extensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter

from trigger_api.open_inference.extensions import AbsentExtension

_ABSENT: Final = {
    "system_shared_memory": ("/systemsharedmemory/{rest:path}",),
    "cuda_shared_memory": ("/cudasharedmemory/{rest:path}",),
    "trace": ("/trace/setting", "/models/{name}/trace/setting"),
    "logging": ("/logging",),
    "statistics": ("/models/{name}/stats", "/models/{name}/versions/{version}/stats"),
    "model_configuration": ("/models/{name}/config", "/models/{name}/versions/{version}/config"),
    "generate": ("/models/{name}/generate", "/models/{name}/generate_stream"),
}
router = APIRouter(prefix="/v2", tags=["open inference protocol"], include_in_schema=False)


def _absent(name: str) -> Callable[[], None]:
    def answer() -> None:
        raise AbsentExtension(name)

    return answer


for _name, _paths in _ABSENT.items():
    for _path in _paths:
        router.add_api_route(_path, _absent(_name), methods=["GET", "POST"])
