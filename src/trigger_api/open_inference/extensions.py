"""Extensions of the Open Inference Protocol: those that are here, and a clear answer to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trigger_api.errors import BadRequest, NotFound

PRESENT: Final = ("binary_tensor_data", "classification", "model_repository")

_ABSENT_PARAMETERS: Final = {
    "shared_memory_region": "shared memory is not supported: send the data in the request",
    "sequence_id": "sequences are not supported: every request stands alone",
}


class AbsentExtension(NotFound):
    """What was called belongs to an extension that is absent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the extension {name} is not supported; GET /v2 lists those that are")


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters of extensions that are absent.

    Raises:
        BadRequest: there is one.
    """
    for name, reason in _ABSENT_PARAMETERS.items():
        if parameters.get(name):
            raise BadRequest(reason)
