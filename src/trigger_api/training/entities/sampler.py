"""Batches of named-entity examples: neighbours joined, in buckets of similar length, augmented anew in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.training.loop import BatchSampler, TrainingConfig

Array = NDArray[Any]
Inputs = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence: the network's inputs, the labels, and the weight of each label; all arrays are (length, ...).

    ``part`` is the number of the corpus that it comes from.
    """

    part: int
    inputs: Inputs
    labels: NDArray[np.int32]
    weights: NDArray[np.float32]


Group = list[int]
"""Numbers of consecutive sentences that become one example."""

Augment = Callable[[Example, np.random.Generator], Example]


class SentenceSampler(BatchSampler):
    """Batches of about ``config.batch_size`` tokens, padding included.

    Every epoch splits the sentences anew into groups of neighbours, and draws each group with the probability of its
    first sentence.
    """

    varying = True

    def __init__(
        self,
        examples: Sequence[Example],
        probs: Sequence[float],
        lengths: Sequence[int],
        augment: Augment,
        config: TrainingConfig,
        alone: float = 1.0,
    ) -> None:
        """``probs`` are sampling probabilities, ``lengths`` the buckets, ``alone`` is the share without neighbours."""
        super().__init__(config)
        self._examples = examples
        self._lengths = np.asarray(lengths)
        self._augment = augment
        self._alone = alone
        self._probs = np.asarray(probs)

    def epoch(self, number: int) -> list[list[Group]]:
        """Groups in random batches, each of one length."""
        rng = np.random.default_rng(number)
        groups = [group for group in self._groups(rng) if rng.random() < self._probs[group[0]]]
        buckets = np.searchsorted(self._lengths, [self._length(group) for group in groups])
        batches: list[list[Group]] = []
        for bucket, length in enumerate(self._lengths):
            members = rng.permutation(np.flatnonzero(buckets == bucket))
            size = self._size // int(length)
            # The few that are left over wait for another epoch.
            starts = range(0, len(members) - size + 1, size)
            batches += [[groups[member] for member in members[start : start + size]] for start in starts]
        return [batches[index] for index in rng.permutation(len(batches))]

    def batch(self, members: Sequence[Group], step: int) -> tuple[Inputs, Array, Array]:
        """Make one batch: the inputs, the labels ``(batch, length)`` and their weights."""
        rng = np.random.default_rng(step)
        length = int(self._lengths[np.searchsorted(self._lengths, self._length(members[0]))])
        joined = (join([self._examples[number] for number in group]) for group in members)
        examples = [self._augment(example, rng) for example in joined]
        names = examples[0].inputs
        inputs = {name: np.stack([pad(each.inputs[name], length) for each in examples]) for name in names}
        labels = np.stack([pad(each.labels, length) for each in examples])
        return inputs, labels, np.stack([pad(each.weights, length) for each in examples])

    def _groups(self, rng: np.random.Generator) -> list[Group]:
        groups: list[Group] = []
        limit = 0
        for number, example in enumerate(self._examples):
            same_corpus = groups and self._examples[number - 1].part == example.part
            if same_corpus and self._length([*groups[-1], number]) <= limit:
                groups[-1].append(number)
            else:
                groups.append([number])
                limit = 0 if rng.random() < self._alone else int(rng.integers(32, self._lengths[-1] + 1))
        return groups

    def _length(self, group: Group) -> int:
        return sum(len(self._examples[number].labels) - 1 for number in group) + 1


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


def pad(array: Array, length: int) -> Array:
    """Pad an array with zeros to ``length`` along its first axis."""
    return np.pad(array, ((0, length - len(array)), *[(0, 0)] * (array.ndim - 1)))
