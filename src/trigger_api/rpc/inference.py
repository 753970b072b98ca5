"""The methods of the Open Inference Protocol: the same models, on the same queues, as over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf.message import Message
from tritonclient.grpc import service_pb2 as messages

from trigger_api import __version__
from trigger_api.errors import NotReady, UnknownModel
from trigger_api.open_inference import repository
from trigger_api.open_inference.extensions import PRESENT, AbsentExtension
from trigger_api.routers.recorder import Recorder
from trigger_api.routers.v2_history import TensorRecorder
from trigger_api.rpc import codec
from trigger_api.rpc.calls import Call, Method
from trigger_api.rpc.codec import InferCall
from trigger_api.server.auth import require_admin
from trigger_api.tasks.raw import Raw

SERVICE: Final = "inference.GRPCInferenceService"
_ABSENT: Final = {
    "ModelConfig": "model_configuration",
    "ModelStatistics": "statistics",
    "TraceSetting": "trace",
    "LogSettings": "logging",
    "SystemSharedMemoryStatus": "system_shared_memory",
    "SystemSharedMemoryRegister": "system_shared_memory",
    "SystemSharedMemoryUnregister": "system_shared_memory",
    "CudaSharedMemoryStatus": "cuda_shared_memory",
    "CudaSharedMemoryRegister": "cuda_shared_memory",
    "CudaSharedMemoryUnregister": "cuda_shared_memory",
}


async def _server_live(_call: Call, _request: Any) -> Message:
    return messages.ServerLiveResponse(live=True)


async def _server_ready(call: Call, _request: Any) -> Message:
    return messages.ServerReadyResponse(ready=call.service.registry.ready)


async def _model_ready(call: Call, request: Any) -> Message:
    try:
        with call.service.registry.acquire(None, request.name, request.version or None):
            return messages.ModelReadyResponse(ready=True)
    except (NotReady, UnknownModel):
        return messages.ModelReadyResponse(ready=False)


async def _server_metadata(_call: Call, _request: Any) -> Message:
    return messages.ServerMetadataResponse(name="trigger_api", version=__version__, extensions=PRESENT)


async def _model_metadata(call: Call, request: Any) -> Message:
    found = repository.metadata(call.service.registry, request.name, request.version or None)
    found.pop("parameters")  # the message has no place for them
    return messages.ModelMetadataResponse(**found)


async def _model_infer(call: Call, request: InferCall) -> bytes:
    recorder = Recorder(call.service, call.caller, f"/{SERVICE}/ModelInfer", request.save)
    result = await call.service.task(Raw).predict(request.arrays, model=request.model, version=request.version)
    size = sum(tensor.nbytes for tensor in result.outputs.values())
    answer: bytes = await call.service.engine.preprocess(codec.encode, request, result, size=size)
    if recorder.wanted:
        kept = await TensorRecorder(recorder).keep(result.model, result.version, result.outputs)
        call.metadata.extend((name.lower(), value) for name, value in kept.items())
    return answer


async def _repository_index(call: Call, request: Any) -> Message:
    return messages.RepositoryIndexResponse(models=repository.index(call.service.registry, ready=request.ready))


async def _repository_load(call: Call, request: Any) -> Message:
    await require_admin(call.request, call.caller)
    await repository.load(call.service.registry, request.model_name)
    return messages.RepositoryModelLoadResponse()


async def _repository_unload(call: Call, request: Any) -> Message:
    await require_admin(call.request, call.caller)
    repository.unload(call.service.registry, request.model_name)
    return messages.RepositoryModelUnloadResponse()


def _absent(extension: str) -> Method:
    async def answer(_call: Call, _request: Any) -> Message:
        raise AbsentExtension(extension)

    return Method(bytes, answer)


def _method(request: type[Message], answer: Callable[[Call, Any], Awaitable[Message]], path: str = "") -> Method:
    return Method(request.FromString, answer, path)


METHODS: Final = {
    "ServerLive": _method(messages.ServerLiveRequest, _server_live, "/v2/health/live"),
    "ServerReady": _method(messages.ServerReadyRequest, _server_ready, "/v2/health/ready"),
    "ModelReady": _method(messages.ModelReadyRequest, _model_ready),
    "ServerMetadata": _method(messages.ServerMetadataRequest, _server_metadata),
    "ModelMetadata": _method(messages.ModelMetadataRequest, _model_metadata),
    "ModelInfer": Method(codec.decode, _model_infer),
    "RepositoryIndex": _method(messages.RepositoryIndexRequest, _repository_index),
    "RepositoryModelLoad": _method(messages.RepositoryModelLoadRequest, _repository_load),
    "RepositoryModelUnload": _method(messages.RepositoryModelUnloadRequest, _repository_unload),
    **{name: _absent(extension) for name, extension in _ABSENT.items()},
}
