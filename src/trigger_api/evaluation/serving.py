"""A model served for a measurement: what is measured is what answers requests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import JsonValue

from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Model, State
from trigger_api.repository import discover
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks import Task
from trigger_api.tasks.raw import Raw

T = TypeVar("T")

_CONCURRENCY = 8  # requests in flight
_QUEUE, _DEADLINE_S = 4_096, 3_600  # a busy machine makes a measurement slower, but must not end it


class ServedModel:
    """A model behind a service, for code that is not asynchronous. Calling it computes a batch of any size.

    Attributes:
        card: the model's.
        assets: what its task reads beside the weights.
    """

    def __init__(self, service: Service, model: Model, runner: asyncio.Runner) -> None:
        self.card = model.card
        self.assets = model.assets
        self._service = service
        self._runner = runner

    def __call__(self, tensors: Tensors) -> Tensors:
        """Compute a batch of raw tensors.

        Raises:
            ServiceError: the tensors are not the model's, or the engine cannot answer in time.
        """
        outputs: Tensors = self._runner.run(self._service.task(Raw).predict(tensors, model=self.card.name)).outputs
        return outputs

    def predict(self, kind: type[Task], *request: Any) -> Any:
        """What a task answers to one request.

        Raises:
            ServiceError: the request cannot be taken, or the engine cannot answer in time.
        """
        return self._runner.run(self._service.task(kind).predict(*request))

    def predict_all(self, kind: type[Task], inputs: Iterable[Any]) -> Iterator[Any]:
        """What a task answers to each input, in their order, some requests at a time.

        Raises:
            ServiceError: an input cannot be taken, or the engine cannot answer in time.
        """
        predict, rest = self._service.task(kind).predict, iter(inputs)
        while some := [predict(each) for each in islice(rest, _CONCURRENCY)]:
            yield from self._runner.run(_gathered(some))


@contextmanager
def serving(models: Path, *, batch: int | None = None) -> Iterator[ServedModel]:
    """Serve the models of one folder, and no others, until the block ends; yields the first of them.

    Args:
        models: the folder.
        batch: the only batch size to compile, which loads faster; the sizes on the cards if not given.

    Raises:
        OSError: the folder cannot be read.
        ValueError: it holds no model, or one that cannot be loaded.
    """
    with asyncio.Runner() as runner:
        service = Service(_settings(models, batch), Metrics())
        try:
            _load(service)
            with service.registry.acquire(None) as model:
                yield ServedModel(service, model, runner)
        finally:
            runner.run(service.close())


def score_items(score: CompiledFunction, items: Iterable[Tensors], batch: int) -> Iterator[Tensors]:
    """The outputs of every item, from a function that computes batches of exactly ``batch``.

    It may be a ``ServedModel``, or the compiled function of a network that is still being trained.
    """
    rest = iter(items)
    while some := list(islice(rest, batch)):
        padded = [*some, *some[-1:] * (batch - len(some))]
        outputs = score({name: np.stack([item[name] for item in padded]) for name in padded[0]})
        yield from ({name: tensor[row] for name, tensor in outputs.items()} for row in range(len(some)))


def _settings(models: Path, batch: int | None) -> Settings:
    limits: dict[str, JsonValue] = {"queue": _QUEUE, "deadline_s": _DEADLINE_S}
    if batch:
        limits["batch_sizes"] = [batch]
    names = {version.card.name for version in discover(models)}
    return Settings(models=models, bundled=False, limits=dict.fromkeys(names, limits))


def _load(service: Service) -> None:
    for version in service.registry.versions:
        service.registry.load_with_backbone(version)
        if version.state is State.FAILED:
            raise ValueError(f"{version.card.name} cannot be loaded: {version.reason}")


async def _gathered(requests: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    return await asyncio.gather(*requests)
