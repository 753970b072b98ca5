"""Batches of named-entity examples: neighbours joined, in buckets of like length, dealt anew and disturbed a little."""

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


Group = list[int]
"""Numbers of sentences that follow one another and become one example."""

Disturb = Callable[[Example, np.random.Generator], Example]


class Dealer:
    """Deals one epoch's batches at a time, each of about ``size`` places (examples times their padded length).

    A step's number is its seed, so that a resumed training goes on as if it had never stopped. An epoch cuts the
    material anew into groups of neighbours, each ``alone`` with that probability, and draws each with its first one's
    probability in ``shares``.
    """

    def __init__(
        self,
        material: Sequence[Example],
        shares: Sequence[float],
        lengths: Sequence[int],
        disturb: Disturb,
        size: int,
        alone: float = 1.0,
    ) -> None:
        self._material = material
        self._lengths = np.asarray(lengths)
        self._disturb = disturb
        self._size = size
        self._alone = alone
        self._shares = np.asarray(shares)

    def epoch(self, number: int) -> list[list[Group]]:
        """Choose and shuffle one epoch: lists of groups, each list of one length."""
        random = np.random.default_rng(number)
        groups = [group for group in self._groups(random) if random.random() < self._shares[group[0]]]
        buckets = np.searchsorted(self._lengths, [self._joint(group) for group in groups])
        batches: list[list[Group]] = []
        for bucket, length in enumerate(self._lengths):
            members = random.permutation(np.flatnonzero(buckets == bucket))
            size = self._size // int(length)
            # A batch of another size would be another graph: the few examples left over wait for another epoch.
            starts = range(0, len(members) - size + 1, size)
            batches += [[groups[member] for member in members[start : start + size]] for start in starts]
        return [batches[index] for index in random.permutation(len(batches))]

    def batch(self, groups: Sequence[Group], step: int) -> Batch:
        """Make one batch: the inputs, the labels (batch, length) and how much each counts."""
        random = np.random.default_rng(step)
        length = int(self._lengths[np.searchsorted(self._lengths, self._joint(groups[0]))])
        joined = (join([self._material[member] for member in group]) for group in groups)
        examples = [self._disturb(example, random) for example in joined]
        names = examples[0].inputs
        inputs = {name: np.stack([padded(each.inputs[name], length) for each in examples]) for name in names}
        labels = np.stack([padded(each.labels, length) for each in examples])
        return inputs, labels, np.stack([padded(each.weights, length) for each in examples])

    def _groups(self, random: np.random.Generator) -> list[Group]:
        groups: list[Group] = []
        room = 0
        for number, example in enumerate(self._material):
            near = groups and self._material[number - 1].part == example.part
            if near and self._joint([*groups[-1], number]) <= room:
                groups[-1].append(number)
            else:
                groups.append([number])
                room = 0 if random.random() < self._alone else int(random.integers(32, self._lengths[-1] + 1))
        return groups

    def _joint(self, group: Group) -> int:
        return sum(len(self._material[member].labels) - 1 for member in group) + 1


def join(examples: Sequence[Example]) -> Example:
    """Make neighbours one example; only the first one's begin row stays."""
    first, *rest = examples
    if not rest:
        return first
    inputs = {
        name: np.concatenate([array, *(each.inputs[name][1:] for each in rest)]) for name, array in first.inputs.items()
    }
    labels = np.concatenate([first.labels, *(each.labels[1:] for each in rest)])
    return Example(first.part, inputs, labels, np.concatenate([first.weights, *(each.weights[1:] for each in rest)]))


def padded(array: Array, length: int) -> Array:
    """Fill an array up with noughts to ``length`` along its first axis."""
    return np.pad(array, ((0, length - len(array)), *[(0, 0)] * (array.ndim - 1)))
