"""Sliding windows: inputs of any length through a model that takes windows of a few lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trigger_api.scheduler import BatchQueue, Tensors

Array = NDArray[np.float32]


@dataclass(frozen=True)
class SlidingWindows:
    """Covers inputs of any length with windows of one length, overlapping so that each output has its context.

    Attributes:
        length: inputs in a window.
        stride: inputs per output.
        outputs: outputs per window.
        context: outputs at a window's start that depend on inputs before it; they are taken from the previous window.
    """

    length: int
    stride: int
    outputs: int
    context: int = 0

    @property
    def _advance(self) -> int:
        return (self.outputs - self.context) * self.stride

    def split(self, inputs: Array, queue: BatchQueue) -> list[Tensors]:
        """The windows as items for the engine. The last one is padded with zeros, and states begin as zeros."""
        spec, *others = queue.specs
        rest = {other.name: np.zeros(other.shape, other.dtype) for other in others}
        covered = max(len(inputs) - self.length, 0)
        starts = range(0, covered + self._advance, self._advance)
        return [{spec.name: self._window(inputs, start), **rest} for start in starts]

    def merge(self, parts: Sequence[Array], count: int) -> Array:
        """The first ``count`` outputs for all inputs, each taken from a window that shows its whole context."""
        if len(parts) == 1:
            return parts[0][:count]
        return np.concatenate([parts[0], *(part[self.context :] for part in parts[1:])])[:count]

    def _window(self, inputs: Array, start: int) -> Array:
        part = inputs[start : start + self.length]
        return part if len(part) == self.length else np.pad(part, ((0, self.length - len(part)), (0, 0)))
