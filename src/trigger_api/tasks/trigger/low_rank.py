"""What many words cost while none of them is said: their heads, factored and thinned out, all scored at once.

Most of a head's multiplications are in its first layer, and nearly all that this layer sees lies in a few directions.
A low-rank factorisation keeps those. Two of the members at every second position are then enough to tell that a word
was not said; whether it was is for the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float32]

FILE = "low_rank.npz"
_STRIDE = 2  # positions
_RECENT = 2  # strided positions whose mean logit is a score
_AT_ONCE = 10  # heads: what they compute stays in the cache


@dataclass(frozen=True, eq=False)
class LowRankHead:
    """Some members of a head.

    Attributes:
        down: from a window of embeddings to the directions that matter, ``[steps * 96, rank]``.
        up: from those to the first layers ``[members, rank, width]``.
        first_bias: ``[members, 1, width]``.
        second: the second layers ``[members, width, width]``.
        second_bias: ``[members, 1, width]``.
        logit: the last layers ``[members, width, 1]``.
        logit_bias: the mean of theirs, ``[1]``.
    """

    down: Array
    up: Array
    first_bias: Array
    second: Array
    second_bias: Array
    logit: Array
    logit_bias: Array

    @property
    def shape(self) -> tuple[tuple[int, ...], ...]:
        """Heads of one shape are scored together."""
        return self.down.shape, self.second.shape

    def save(self, folder: Path, weights_digest: str) -> None:
        """Write it beside the weights that it was made of, whose SHA-256 it keeps."""
        np.savez_compressed(folder / FILE, weights_digest=weights_digest, **asdict(self))

    @classmethod
    def load(cls, folder: Path, weights_digest: str) -> LowRankHead | None:
        """Read a folder's; None if there is none.

        Raises:
            OSError, ValueError: it cannot be read, or belongs to other weights.
        """
        if not (folder / FILE).exists():
            return None
        with np.load(folder / FILE, allow_pickle=False) as file:
            arrays = dict(file)
        if str(arrays.pop("weights_digest")) != weights_digest:
            raise ValueError(f"{FILE} was made of other weights")
        return cls(**{name: array.astype(np.float32) for name, array in arrays.items()})


def score_words(heads: Sequence[LowRankHead], embeddings: Array, count: int) -> list[Array]:
    """Scores ``[count]`` of each head for a recording, about what the whole head would give.

    Args:
        heads: of the words.
        embeddings: ``[T, 96]``, beginning with those of silence.
        count: scores that are wanted; the last is that of the last embedding.
    """
    scores: dict[LowRankHead, Array] = {}
    for group in _groups(heads):
        scores |= zip(group, _score(_stacked(group), embeddings), strict=True)
    return [np.repeat(scores[head], _STRIDE)[-count:] for head in heads]


def _groups(heads: Sequence[LowRankHead]) -> Iterator[tuple[LowRankHead, ...]]:
    """A few heads of one shape at a time."""
    for shape in dict.fromkeys(head.shape for head in heads):
        alike = [head for head in heads if head.shape == shape]
        yield from (tuple(alike[start : start + _AT_ONCE]) for start in range(0, len(alike), _AT_ONCE))


@lru_cache(maxsize=64)
def _stacked(heads: tuple[LowRankHead, ...]) -> LowRankHead:
    """Heads of one shape as one: ``down [96 * steps, words * rank]``, and a first axis of words in all others."""
    names = ("up", "first_bias", "second", "second_bias", "logit", "logit_bias")
    rest = {name: np.stack([getattr(head, name) for head in heads]) for name in names}
    return LowRankHead(down=np.concatenate([head.down for head in heads], axis=1), **rest)


def _score(stack: LowRankHead, embeddings: Array) -> Array:
    """Scores ``[words, positions]`` of every second position."""
    windows = _windows(embeddings, len(stack.down) // embeddings.shape[1])
    reduced: Array = windows @ stack.down
    reduced = reduced.reshape(len(windows), len(stack.up), 1, -1).transpose(1, 2, 0, 3)
    first = _rectified(reduced @ stack.up, stack.first_bias)
    second = _rectified(first @ stack.second, stack.second_bias)
    logits = (second @ stack.logit)[..., 0].mean(axis=1) + stack.logit_bias
    scores: Array = 1 / (1 + np.exp(-sliding_window_view(logits, _RECENT, axis=1).mean(axis=-1)))
    return scores


def _rectified(x: Array, bias: Array) -> Array:
    """In place: for twenty words a new array would cost as much as the multiplications."""
    x += bias
    return np.maximum(x, 0, out=x)


def _windows(embeddings: Array, steps: int) -> Array:
    """Every second window of so many embeddings up to the last one, ``[positions, steps * 96]``."""
    windows = sliding_window_view(embeddings, steps, axis=0).transpose(0, 2, 1)
    chosen = windows[(len(windows) - 1) % _STRIDE :: _STRIDE]
    return np.ascontiguousarray(chosen).reshape(len(chosen), -1)
