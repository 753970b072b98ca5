"""The application on Ray Serve: ``serve run trigger_api.ray_app:app``. Needs the extra ``ray``.

Requests are answered by the same application as on one machine, in as many replicas as there are. Only the batches of
its queues are computed elsewhere: by replicas of another deployment, on any node, which load the versions that they are
asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from trigger_api.app import create_app
from trigger_api.errors import NotReady
from trigger_api.model_card import ModelCard, TensorSpec
from trigger_api.runtimes import LoadedModel, digest
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.service import find_models, model_loader
from trigger_api.settings import Settings

_WAITING = 32  # batches that one process of the application has computed elsewhere at once
_CONCURRENCY = 4  # of one queue
_REQUESTS = 256  # that one process of the application answers at once
_VERSIONS = 64  # that a replica keeps in memory
_BATCH_CALLS = 8  # that one replica may compute as one batch
_ATTEMPTS = 5  # a replica that is lost answers nothing, and another computes the same
_LOST = (RayActorError, RayServeException)
_SCALING = {"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": 2}


class RemoteModel:
    """A version whose batches are computed by another deployment."""

    def __init__(self, handle: DeploymentHandle, version: str) -> None:
        self._handle = handle.options(multiplexed_model_id=version)

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """What computes a batch: any size is the same to it."""
        return self._compute

    def _compute(self, tensors: Tensors) -> Tensors:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._ask(tensors)
            except _LOST:
                continue
        return self._ask(tensors)

    def _ask(self, tensors: Tensors) -> Tensors:
        answer = self._handle.compute.remote(dict(tensors)).result()
        return {name: np.array(tensor) for name, tensor in answer.items()}  # Ray's own cannot be written to


class Version:
    """A version in the memory of a replica."""

    def __init__(self, loaded: LoadedModel, card: ModelCard) -> None:
        self._loaded = loaded
        self._names = [spec.name for spec in card.inputs]
        self._functions: dict[Any, CompiledFunction] = {}

    @serve.batch(max_batch_size=_BATCH_CALLS, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def compute(self, calls: list[Tensors]) -> list[Tensors]:
        """Compute what has come from several processes of the application."""
        return await asyncio.to_thread(self._compute, calls)

    def _compute(self, calls: list[Tensors]) -> list[Tensors]:
        """Compute calls of one shape as one batch."""
        groups: dict[Any, list[int]] = {}
        for number, call in enumerate(calls):
            groups.setdefault(tuple(call[name].shape[1:] for name in self._names), []).append(number)
        found: dict[int, Tensors] = {}
        for numbers in groups.values():
            found.update(zip(numbers, self._together([calls[number] for number in numbers]), strict=True))
        return [found[number] for number in range(len(calls))]

    def _together(self, calls: list[Tensors]) -> Iterator[Tensors]:
        if len(calls) == 1:
            yield self._run(calls[0])
            return
        sizes = [len(call[self._names[0]]) for call in calls]
        answer = self._run({name: _padded([call[name] for call in calls], sum(sizes)) for name in self._names})
        for size, end in zip(sizes, accumulate(sizes), strict=True):
            yield {name: tensor[end - size : end] for name, tensor in answer.items()}

    def _run(self, tensors: Tensors) -> Tensors:
        key = tuple(tensors[name].shape for name in self._names)
        if key not in self._functions:
            specs = [TensorSpec(name=n, shape=tensors[n].shape[1:], dtype=str(tensors[n].dtype)) for n in self._names]
            self._functions[key] = self._loaded.compile(specs, len(tensors[self._names[0]]))
        return self._functions[key](tensors)


class Models:
    """Computes batches of the versions that it has loaded, and loads those that it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._load = model_loader(settings)

    async def compute(self, tensors: Tensors) -> Tensors:
        """Compute a batch of the version that the call names."""
        version = await self._version(serve.get_multiplexed_model_id())
        answer: Tensors = await version.compute(tensors)
        return answer

    @serve.multiplexed(max_num_models_per_replica=_VERSIONS)  # type: ignore[untyped-decorator]
    async def _version(self, name: str) -> Version:
        return await asyncio.to_thread(self._find, name)

    def _find(self, name: str) -> Version:
        for entry in find_models(self._settings):
            if _name(entry.path, entry.card) == name:
                return Version(self._load(entry.path, entry.card), entry.card)
        raise NotReady(f"this node does not have {name}: every node needs the same models")


class Application:
    """Answers requests, as on one machine."""

    def __init__(self, settings: Settings, models: DeploymentHandle) -> None:
        self._settings = settings
        self._models = models

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, which Ray Serve starts."""
        return create_app(_waiting(self._settings), loader=self._remote)

    def _remote(self, path: Path, card: ModelCard) -> RemoteModel:
        return RemoteModel(self._models, _name(path, card))


def build(settings: Settings | None = None, *, scaling: Mapping[str, Any] = _SCALING) -> serve.Application:
    """The application for ``serve.run``.

    Args:
        settings: the settings; read from the environment of this process if not given.
        scaling: Ray Serve's ``autoscaling_config``, of the application and of the models alike.
    """
    settings = settings or Settings()
    models = serve.deployment(Models, autoscaling_config=dict(scaling), max_ongoing_requests=_WAITING)
    application = serve.deployment(
        serve.ingress()(Application),
        name="Application",
        autoscaling_config=dict(scaling),
        max_ongoing_requests=_REQUESTS,
    )
    return application.bind(settings, models.bind(settings))


def _waiting(settings: Settings) -> Settings:
    """More batches at once than this machine has cores: its threads only wait for others."""
    names = {entry.card.name for entry in find_models(settings)}
    limits = {name: {"concurrency": _CONCURRENCY, **settings.limits.get(name, {})} for name in names}
    threads = max(settings.inference_threads, _WAITING)
    return settings.model_copy(update={"inference_threads": threads, "limits": {**settings.limits, **limits}})


def _name(path: Path, card: ModelCard) -> str:
    """The id of a version: another one if its weights change."""
    return f"{card.task}/{card.name}/{card.version}/{digest(path)[:16]}"


def _padded(parts: Sequence[NDArray[Any]], size: int) -> NDArray[Any]:
    """Batches as one, whose size is a power of two: each size is compiled."""
    rows = np.zeros((1 << (size - 1).bit_length(), *parts[0].shape[1:]), parts[0].dtype)
    np.concatenate(parts, out=rows[:size])
    return rows


def __getattr__(name: str) -> Any:
    if name == "app":
        return build()
    raise AttributeError(name)
