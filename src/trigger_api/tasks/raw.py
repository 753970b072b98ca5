"""Any model: tensors in and tensors out, without preprocessing or decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        """Compute a batch.

        Args:
            inputs: the model's tensors by name, each with the batch axis first.
            model: the name of a model of any task.
            version: a number or a label; see ``Registry.find``.

        Raises:
            BadRequest: the tensors do not match the model.
            ServiceError: there is no such model, or the engine cannot answer in time.
        """
        with self._registry.acquire(None, model, version) as served:
            card, queue = served.card, _choose_queue(served, inputs)
            async with self._engine.deadline(queue.limits.deadline_s) as deadline:
                items = await self._engine.preprocess(_split, inputs, card, size=_bytes(inputs.values()))
                answers = await self._engine.infer(queue, items, deadline)
                size = sum(_bytes(answer.values()) for answer in answers)
                outputs = await self._engine.preprocess(_stack, answers, size=size)
            return RawResult(outputs, card.name, card.version)


def _bytes(tensors: Iterable[NDArray[Any]]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _choose_queue(served: Model, inputs: Mapping[str, NDArray[Any]]) -> BatchQueue:
    """The batch queue for the sequence length of the inputs."""
    lengths = {length for spec in served.card.inputs for length in _sequence_lengths(spec, inputs)}
    length = next(iter(lengths), 0)
    if len(lengths) > 1 or length not in served.queues:
        raise BadRequest(f"{served.card.name} takes sequences of length {', '.join(map(str, served.queues))}")
    return served.queues[length]


def _sequence_lengths(spec: TensorSpec, inputs: Mapping[str, NDArray[Any]]) -> list[int]:
    """The input's sizes where the card has a variable dimension; all others must be as on the card."""
    if spec.name not in inputs:
        raise BadRequest(f"input {spec.name!r} is missing")
    tensor = inputs[spec.name]
    if tensor.dtype != spec.dtype or not _fits(spec.shape, tensor.shape[1:]):
        raise BadRequest(f"input {spec.name!r} must be {spec.dtype} of shape {[-1, *spec.shape]}")
    return [size for expected, size in zip(spec.shape, tensor.shape[1:], strict=True) if expected < 0]


def _fits(expected: Sequence[int], shape: Sequence[int]) -> bool:
    return len(expected) == len(shape) and all(e in (-1, size) for e, size in zip(expected, shape, strict=True))


def _split(inputs: Mapping[str, NDArray[Any]], card: ModelCard) -> list[Tensors]:
    """The items of a batch."""
    for spec in card.inputs:
        _check_vocab(spec, inputs[spec.name])
    names = [spec.name for spec in card.inputs]
    sizes = {inputs[name].shape[0] for name in names}
    if set(inputs) - set(names) or len(sizes) != 1:
        raise BadRequest(f"{card.name} takes {', '.join(names)}, all with the same batch size")
    if not min(sizes):
        raise BadRequest("the batch is empty")
    return [{name: inputs[name][index] for name in names} for index in range(sizes.pop())]


def _check_vocab(spec: TensorSpec, tensor: NDArray[Any]) -> None:
    if spec.vocab_size and tensor.size and not (tensor.min() >= 0 and tensor.max() < spec.vocab_size):
        raise BadRequest(f"input {spec.name!r} takes values from 0 to {spec.vocab_size - 1}")


def _stack(answers: Sequence[Tensors]) -> Tensors:
    return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
