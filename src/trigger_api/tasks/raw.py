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
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task


@dataclass(frozen=True)
class RawResult:
    """A model's outputs, each with its batch axis, and the labels that its card has."""

    outputs: Tensors
    model: str
    version: str
    labels: tuple[str, ...] = ()


class Raw(Task):
    """Computes a model of any task."""

    name = "raw"

    async def predict(self, inputs: Mapping[str, NDArray[Any]], *, model: str, version: str | None = None) -> RawResult:
        """Compute a batch.

        A sequence of a length that the model was not compiled for is padded with zeros to the next one, and the outputs
        are cut again: only where every input and output has one variable dimension, so that no state has seen padding.

        Args:
            inputs: the model's tensors by name, each with the batch axis first.
            model: the name of a model of any task.
            version: a number or a label; see ``Registry.find``.

        Raises:
            BadRequest: the tensors do not match the model.
            ServiceError: there is no such model, or the engine cannot answer in time.
        """
        with self._registry.acquire(None, model, version) as served:
            card, length = served.card, _sequence_length(served.card, inputs)
            window = _choose_window(served, length)
            queue, padding = served.queues[window], window - length
            async with self._engine.deadline(queue.limits.deadline_s) as deadline:
                items = await self._engine.preprocess(_split, inputs, card, padding, size=_bytes(inputs.values()))
                answers = await self._engine.infer(queue, items, deadline)
                size = sum(_bytes(answer.values()) for answer in answers)
                outputs = await self._engine.preprocess(_stack, answers, card, window, padding, size=size)
            return RawResult(outputs, card.name, card.version, card.labels)


def _bytes(tensors: Iterable[NDArray[Any]]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _sequence_length(card: ModelCard, inputs: Mapping[str, NDArray[Any]]) -> int:
    """The length that all inputs share; 0 if none of them varies."""
    lengths = {length for spec in card.inputs for length in _sequence_lengths(spec, inputs)}
    if len(lengths) > 1:
        raise BadRequest(f"{card.name} takes inputs of the same length, not of {', '.join(map(str, sorted(lengths)))}")
    return next(iter(lengths), 0)


def _choose_window(served: Model, length: int) -> int:
    """The length to compute: the same, or the next one if the model can be given padding."""
    if length in served.queues:
        return length
    window = min((each for each in served.queues if each >= length), default=0)
    if not length or not window or not _can_be_padded(served.card):
        known = ", ".join(map(str, served.queues))
        raise BadRequest(f"{served.card.name} takes sequences of length {known}")
    return window


def _can_be_padded(card: ModelCard) -> bool:
    return all(sum(size < 0 for size in spec.shape) == 1 for spec in (*card.inputs, *card.outputs))


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


def _split(inputs: Mapping[str, NDArray[Any]], card: ModelCard, padding: int) -> list[Tensors]:
    """The items of a batch, with so many zeros after their sequences."""
    for spec in card.inputs:
        _check_vocab(spec, inputs[spec.name])
    names = [spec.name for spec in card.inputs]
    sizes = {inputs[name].shape[0] for name in names}
    if set(inputs) - set(names) or len(sizes) != 1:
        raise BadRequest(f"{card.name} takes {', '.join(names)}, all with the same batch size")
    if not min(sizes):
        raise BadRequest("the batch is empty")
    if padding:
        inputs = {spec.name: _pad(spec, inputs[spec.name], padding) for spec in card.inputs}
    return [{name: inputs[name][index] for name in names} for index in range(sizes.pop())]


def _pad(spec: TensorSpec, tensor: NDArray[Any], padding: int) -> NDArray[Any]:
    return np.pad(tensor, [(0, 0), *((0, padding if size < 0 else 0) for size in spec.shape)])


def _check_vocab(spec: TensorSpec, tensor: NDArray[Any]) -> None:
    if spec.vocab_size and tensor.size and not (tensor.min() >= 0 and tensor.max() < spec.vocab_size):
        raise BadRequest(f"input {spec.name!r} takes values from 0 to {spec.vocab_size - 1}")


def _stack(answers: Sequence[Tensors], card: ModelCard, window: int, padding: int) -> Tensors:
    """The outputs of a batch, without those of the padding."""
    if len(answers) == 1:
        stacked = {name: tensor[None] for name, tensor in answers[0].items()}
    else:
        stacked = {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
    if not padding:
        return stacked
    return {spec.name: _cut(spec, stacked[spec.name], card, window, padding) for spec in card.outputs}


def _cut(spec: TensorSpec, tensor: NDArray[Any], card: ModelCard, window: int, padding: int) -> NDArray[Any]:
    """An output up to the end of the input; a head gives one for each of its inputs, others may give fewer."""
    axis = 1 + next(number for number, size in enumerate(spec.shape) if size < 0)
    stride = 1 if card.backbone else max(1, window // tensor.shape[axis])
    return np.take(tensor, range(tensor.shape[axis] - padding // stride), axis)
