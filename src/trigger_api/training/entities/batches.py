"""Batches of named-entity examples: buckets of like length, dealt anew every epoch and disturbed a little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = dict[str, Array]
Batch = tuple[Inputs, Array, Array]


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence: the network's inputs, the labels, and how much each label counts; all arrays are (length, ...).

    ``part`` is the number of the corpus it comes from.
    """

    part: int
    inputs: Inputs
    labels: NDArray[np.int32]
    weights: NDArray[np.float32]


Disturb = Callable[[Example, np.random.Generator], Example]


class Dealer:
    """Deals one epoch's batches at a time, each of about ``size`` places (examples times their padded length).

    A step's number is its seed, so that a resumed training goes on as if it had never stopped. An epoch draws each
    example with its probability in ``shares``.
    """

    def __init__(
        self,
        material: Sequence[Example],
        shares: Sequence[float],
        lengths: Sequence[int],
        disturb: Disturb,
        size: int,
    ) -> None:
        self._material = material
        self._lengths = lengths
        self._disturb = disturb
        self._size = size
        sizes = np.asarray([len(example.labels) for example in material])
        self._bucket = np.searchsorted(np.asarray(lengths), sizes)
        self._shares = np.asarray(shares)

    def epoch(self, number: int) -> list[list[int]]:
        """Choose and shuffle one epoch: lists of example numbers, each list of one length."""
        random = np.random.default_rng(number)
        chosen = random.random(len(self._shares)) < self._shares
        batches: list[list[int]] = []
        for bucket, length in enumerate(self._lengths):
            members = random.permutation(np.flatnonzero(chosen & (self._bucket == bucket)))
            size = self._size // length
            # A batch of another size would be another graph: the few examples left over wait for another epoch.
            batches += [members[start : start + size].tolist() for start in range(0, len(members) - size + 1, size)]
        return [batches[index] for index in random.permutation(len(batches))]

    def batch(self, members: Sequence[int], step: int) -> Batch:
        """Make one batch: the inputs, the labels (batch, length) and how much each counts."""
        random = np.random.default_rng(step)
        length = self._lengths[int(self._bucket[members[0]])]
        examples = [self._disturb(self._material[member], random) for member in members]
        names = examples[0].inputs
        inputs = {name: np.stack([padded(each.inputs[name], length) for each in examples]) for name in names}
        labels = np.stack([padded(each.labels, length) for each in examples])
        return inputs, labels, np.stack([padded(each.weights, length) for each in examples])


def padded(array: Array, length: int) -> Array:
    """Fill an array up with noughts to ``length`` along its first axis."""
    return np.pad(array, ((0, length - len(array)), *[(0, 0)] * (array.ndim - 1)))
