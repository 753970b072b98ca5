"""Keras models on TensorFlow: one plain function for all shapes, or one per shape compiled by XLA where it pays off."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trigger_api.model_card import ModelCard, TensorSpec
from trigger_api.scheduler import CompiledFunction, Tensors

_ROUNDS = 3  # timed calls of each candidate, after the one that compiles it
_WORTHWHILE = 0.75  # of the plain function's time


def configure(*, intra_op_threads: int, inter_op_threads: int) -> None:
    """Set TensorFlow's thread counts, which is possible only before its first computation."""
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(intra_op_threads)
        threading.set_inter_op_parallelism_threads(inter_op_threads)
    except RuntimeError:  # an earlier load in this process has already set them
        return


def load(path: Path) -> Any:
    """Load a ``.keras`` file. Nothing in it is unpickled or executed."""
    return keras.models.load_model(path, compile=False, safe_mode=True)


class KerasModel:
    """A Keras model whose tensors go by the names on its card."""

    def __init__(self, model: Any, card: ModelCard) -> None:
        self._model = model
        self._specs = card.inputs
        self._inputs = _names(model.inputs, card.inputs)
        self._outputs = tuple(spec.name for spec in card.outputs)
        self._xla: bool | None = None

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """Build a function and run it: the first time both plainly and by XLA, from then on in the better way."""
        example = {spec.name: np.zeros((batch, *spec.shape), spec.dtype) for spec in specs}
        if self._xla is None:
            # XLA takes seconds and memory for each size. What is faster at one size is faster at the others.
            plain, xla = (
                _best_time(function, example) for function in (self._plain, self._function(specs, batch, xla=True))
            )
            self._xla = xla < _WORTHWHILE * plain
        function = self._function(specs, batch, xla=True) if self._xla else self._plain
        function(example)
        return function

    @property
    def kernels(self) -> list[NDArray[np.float32]]:
        """The weights of more than one dimension."""
        arrays = (np.asarray(weight, np.float32) for weight in self._model.get_weights() if weight.ndim > 1)
        return list(arrays)

    @cached_property
    def _plain(self) -> CompiledFunction:
        """One function for all shapes: tracing takes a second, and fixed shapes gain nothing."""
        return self._function(self._specs, None, xla=False)

    def _function(self, specs: Sequence[TensorSpec], batch: int | None, *, xla: bool) -> CompiledFunction:
        shapes = {spec.name: signature(spec, batch) for spec in specs}
        function = tf.function(self.call, input_signature=[shapes], jit_compile=xla, autograph=False)
        concrete = function.get_concrete_function()

        def run(tensors: Tensors) -> Tensors:
            # In the structure that it was traced with: given by name, TensorFlow first fails and prints all values.
            outputs = concrete({name: tf.constant(tensors[name]) for name in shapes})
            return {name: tensor.numpy() for name, tensor in outputs.items()}

        return run

    def call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Apply the model to tensors by the card's names, inside a function that is being traced."""
        ordered = [tensors[name] for name in self._inputs]
        outputs = self._model(keras.tree.pack_sequence_as(self._model.input, ordered), training=False)
        if isinstance(outputs, dict):
            return {name: outputs[name] for name in self._outputs}
        return dict(zip(self._outputs, keras.tree.flatten(outputs), strict=True))


def signature(spec: TensorSpec, batch: int | None = None) -> tf.TensorSpec:
    """A tensor of the card for TensorFlow; variable dimensions, and the batch size if not given, are None."""
    return tf.TensorSpec((batch, *(None if size < 0 else size for size in spec.shape)), spec.dtype, spec.name)


def _names(tensors: Iterable[Any], specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """The card's names in the model's own order; in the card's order if the model uses other names."""
    own = tuple(tensor.name for tensor in tensors)
    if len(own) != len(specs):
        raise ValueError(f"the card has {len(specs)} inputs, but the model has {len(own)}")
    names = tuple(spec.name for spec in specs)
    return own if set(own) == set(names) else names


def _best_time(function: CompiledFunction, example: dict[str, NDArray[Any]]) -> float:
    try:
        function(example)
        return min(_time(function, example) for _ in range(_ROUNDS))
    except tf.errors.OpError:  # XLA cannot compile every operation
        return float("inf")


def _time(function: CompiledFunction, example: dict[str, NDArray[Any]]) -> float:
    started = time.perf_counter()
    function(example)
    return time.perf_counter() - started
