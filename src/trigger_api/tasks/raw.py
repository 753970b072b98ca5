"""Any model, tensors in and tensors out: no front end, no decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.errors import BadRequest
from trigger_api.model_card import ModelCard, TensorSpec
from trigger_api.registry import Model
from trigger_api.scheduler import BatchQueue, Tensors
from trigger_api.tasks.base import Task


@dataclass(frozen=True)
class RawResult:
    """A model's outputs, each with its batch axis."""

    outputs: Tensors
    model: str
    version: str


class Raw(Task):
    """Computes a model of any task."""

    name = "raw"

    async def predict(self, inputs: Mapping[str, NDArray[Any]], *, model: str, version: str | None = None) -> RawResult:
        """Compute a batch: every tensor leads with the batch axis.

        Raises:
            BadRequest: the tensors are not the model's.
            ServiceError: there is no such model, or the engine cannot answer in time.
        """
        with self._registry.acquire(None, model, version) as served:
            queue = _queue(served, inputs)
            items = _items(inputs, served.card)
            async with self._engine.deadline(queue.limits.deadline_s) as deadline:
                answers = await self._engine.infer(queue, items, deadline)
            outputs = {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
            return RawResult(outputs, served.card.name, served.card.version)


def _queue(served: Model, inputs: Mapping[str, NDArray[Any]]) -> BatchQueue:
    """The lane of the length that the inputs have."""
    lengths = {length for spec in served.card.inputs for length in _lengths(spec, inputs)}
    length = next(iter(lengths), 0)
    if len(lengths) > 1 or length not in served.queues:
        raise BadRequest(f"{served.card.name} takes lengths of {', '.join(map(str, served.queues))}")
    return served.queues[length]


def _lengths(spec: TensorSpec, inputs: Mapping[str, NDArray[Any]]) -> list[int]:
    """What the input has where the card has a variable dimension; the rest must be as the card says."""
    if spec.name not in inputs:
        raise BadRequest(f"input {spec.name!r} is missing")
    shape = inputs[spec.name].shape[1:]
    fits = len(shape) == len(spec.shape) and all(want in (-1, got) for want, got in zip(spec.shape, shape, strict=True))
    if not fits or inputs[spec.name].dtype != spec.dtype:
        raise BadRequest(f"input {spec.name!r} wants {spec.dtype} of shape {[-1, *spec.shape]}")
    _check_vocab(spec, inputs[spec.name])
    return [got for want, got in zip(spec.shape, shape, strict=True) if want < 0]


def _check_vocab(spec: TensorSpec, tensor: NDArray[Any]) -> None:
    if spec.vocab_size and tensor.size and not (tensor.min() >= 0 and tensor.max() < spec.vocab_size):
        raise BadRequest(f"input {spec.name!r} takes values from 0 to {spec.vocab_size - 1}")


def _items(inputs: Mapping[str, NDArray[Any]], card: ModelCard) -> list[Tensors]:
    names = [spec.name for spec in card.inputs]
    unknown = set(inputs) - set(names)
    sizes = {inputs[name].shape[0] for name in names}
    if unknown or len(sizes) != 1:
        raise BadRequest(f"{card.name} takes {', '.join(names)}, all of one batch size")
    if not min(sizes):
        raise BadRequest("the batch is empty")
    return [{name: inputs[name][i] for name in names} for i in range(sizes.pop())]
