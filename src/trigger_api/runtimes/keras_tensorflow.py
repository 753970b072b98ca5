"""Keras models on TensorFlow: one plain function for every shape, or one by XLA for each, where that pays."""

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
_WORTH = 0.75  # of the plain function's time


def configure(*, intra_op_threads: int, inter_op_threads: int) -> None:
    """Fix TensorFlow's thread counts; it allows that only before its first computation."""
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(intra_op_threads)
        threading.set_inter_op_parallelism_threads(inter_op_threads)
    except RuntimeError:  # an earlier load in this process has already fixed them
        return


def read(path: Path) -> Any:
    """Read a ``.keras`` file. Nothing in it is unpickled or run."""
    return keras.models.load_model(path, compile=False, safe_mode=True)


class KerasModel:
    """A Keras model whose tensors are known by the names on its card."""

    def __init__(self, model: Any, card: ModelCard) -> None:
        self._model = model
        self._specs = card.inputs
        self._inputs = _names(model.inputs, card.inputs)
        self._outputs = tuple(spec.name for spec in card.outputs)
        self._xla: bool | None = None

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """Make a function and run it: the first time plainly and by XLA, then whichever was worth it."""
        example = {spec.name: np.zeros((batch, *spec.shape), spec.dtype) for spec in specs}
        if self._xla is None:
            # XLA takes seconds and memory for each size. What is faster at one is so at the others.
            plain, xla = (
                _seconds(function, example) for function in (self._plain, self._function(specs, batch, xla=True))
            )
            self._xla = xla < _WORTH * plain
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
        """One function for every shape: tracing it takes a second of each start, and fixed shapes gain nothing."""
        return self._function(self._specs, None, xla=False)

    def _function(self, specs: Sequence[TensorSpec], batch: int | None, *, xla: bool) -> CompiledFunction:
        shapes = {spec.name: _signature(spec, batch) for spec in specs}
        function = tf.function(self.call, input_signature=[shapes], jit_compile=xla, autograph=False)
        concrete = function.get_concrete_function()

        def run(tensors: Tensors) -> Tensors:
            # As the one structure it was traced with: by names, TensorFlow first fails on it, and prints every number.
            outputs = concrete({name: tf.constant(tensors[name]) for name in shapes})
            return {name: tensor.numpy() for name, tensor in outputs.items()}

        return run

    def call(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """The model on tensors, by the card's names; for use within a function that is being compiled."""
        ordered = [tensors[name] for name in self._inputs]
        outputs = self._model(keras.tree.pack_sequence_as(self._model.input, ordered), training=False)
        if isinstance(outputs, dict):
            return {name: outputs[name] for name in self._outputs}
        return dict(zip(self._outputs, keras.tree.flatten(outputs), strict=True))


def _signature(spec: TensorSpec, batch: int | None) -> tf.TensorSpec:
    return tf.TensorSpec((batch, *(None if size < 0 else size for size in spec.shape)), spec.dtype, spec.name)


def _names(tensors: Iterable[Any], specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """The card's names in the model's own order; a model whose tensors are named otherwise is taken in card order."""
    own = tuple(tensor.name for tensor in tensors)
    if len(own) != len(specs):
        raise ValueError(f"the card names {len(specs)} inputs, the model has {len(own)}")
    names = tuple(spec.name for spec in specs)
    return own if set(own) == set(names) else names


def _seconds(function: CompiledFunction, example: dict[str, NDArray[Any]]) -> float:
    try:
        function(example)
        return min(_timed(function, example) for _ in range(_ROUNDS))
    except tf.errors.OpError:  # XLA cannot compile every operation
        return float("inf")


def _timed(function: CompiledFunction, example: dict[str, NDArray[Any]]) -> float:
    started = time.perf_counter()
    function(example)
    return time.perf_counter() - started
