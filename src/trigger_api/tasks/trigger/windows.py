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
        stride: inputs an output.
        outputs: outputs a window.
        context: outputs at a window's start that lean on inputs before it; the window before has them right.
    """

    length: int
    stride: int
    outputs: int
    context: int = 0

    @property
    def _advance(self) -> int:
        return (self.outputs - self.context) * self.stride

    def split(self, inputs: Array, queue: BatchQueue) -> list[Tensors]:
        """The windows as items for the engine; the last is padded with zeros, and every state begins with them."""
        named, *others = queue.specs
        rest = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in others}
        covered = max(len(inputs) - self.length, 0)
        starts = range(0, covered + self._advance, self._advance)
        return [{named.name: self._window(inputs, start), **rest} for start in starts]

    def merge(self, parts: Sequence[Array], count: int) -> Array:
        """The first `count` outputs of all the inputs, each taken from the window that had its whole context."""
        if len(parts) == 1:
            return parts[0][:count]
        return np.concatenate([parts[0], *(part[self.context :] for part in parts[1:])])[:count]

    def _window(self, inputs: Array, start: int) -> Array:
        part = inputs[start : start + self.length]
        return part if len(part) == self.length else np.pad(part, ((0, self.length - len(part)), (0, 0)))
