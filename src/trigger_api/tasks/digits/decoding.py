"""From the network's scores to digits: which alternative is the likeliest, and which shapes are digits at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trigger_api.tasks.digits.components import BoundingBox, Component
from trigger_api.tasks.digits.segmentation import Alternatives, Lattice
from trigger_api.tasks.digits.splitting import Span, best_path

CLASSES = 10
_CONFIDENT = 0.85  # a component that scores this high is one digit, however wide it is
_TOUCHING_PRIOR = 0.5  # how likely touching digits are, compared with one doubtful digit
_VALUE_SHARE = 0.7  # of the threshold: which digit it is may be less certain than that it is one
_MERGED = 0.9  # two components that score this high together are one digit, even if either is a digit by itself
_TRAINING_SHARE = 0.88  # of digits in the training data
_PRIOR_COUNT = 2.0  # pseudo-count: shapes of that share which every page is assumed to hold
_MIN_HEIGHT = 0.4  # of the usual height on the page: a smaller "digit" is a comma, or dirt

Scores = NDArray[np.float32]
"""Probabilities of 0 to 9 and of no digit, shape ``(11,)``."""
Candidate = tuple[BoundingBox, Scores]


def is_doubtful(scores: Scores) -> bool:
    """Whether a component may be several digits, or a part of one."""
    return _confidence(scores) < _CONFIDENT


def resolve(
    components: Sequence[Component],
    scores: Sequence[Scores],
    alternatives: Alternatives,
    alternative_scores: Sequence[Scores],
) -> list[Candidate]:
    """The likeliest reading of every component: as it is, split, or merged with a neighbour."""
    rest = iter(alternative_scores)
    split_scores = {
        number: {span: next(rest) for span in lattice.candidates} for number, lattice in alternatives.lattices.items()
    }
    readings: dict[int, list[Candidate]] = {}
    for number, (component, score) in enumerate(zip(components, scores, strict=True)):
        parts = _split(alternatives.lattices[number], split_scores[number], score) if number in split_scores else []
        readings[number] = parts or [(component.box, score)]
    merged = [(pair, (each.box, next(rest))) for pair, each in alternatives.merged.items()]
    _merge(readings, merged)
    return [candidate for each in readings.values() for candidate in each]


def select_digits(candidates: Sequence[Candidate], threshold: float) -> list[Candidate]:
    """The candidates that are digits, by their shape and by what else is on the page."""
    usual = _usual_height(candidates)
    large = [(box, score) for box, score in candidates if box.height >= _MIN_HEIGHT * usual]
    digits = [(box, score) for box, score in _apply_page_prior(large) if _is_digit(score, threshold)]
    # Among other shapes, neither bars nor doubtful shapes are digits.
    return [] if len(digits) < len(large) / 2 and _are_bars(score for _, score in digits) else digits


def _split(lattice: Lattice, scores: Mapping[Span, Scores], whole: Scores) -> list[Candidate]:
    """The likeliest way to split a component; empty if it is likelier whole."""
    log_scores = {span: float(np.log(max(_confidence(score), 1e-6))) for span, score in scores.items()}
    path = best_path(log_scores, lattice.last)
    if len(path) < 2 or _are_bars(scores[span] for span in path):  # a grating is not a row of ones
        return []
    if _TOUCHING_PRIOR * np.exp(sum(log_scores[span] for span in path)) <= _confidence(whole):
        return []
    return [(lattice.candidates[span].box, scores[span]) for span in path]


def _merge(readings: dict[int, list[Candidate]], merged: Sequence[tuple[tuple[int, int], Candidate]]) -> None:
    """Put merged pairs, the most confident first, in the place of the two components where that is likelier."""
    used: set[int] = set()
    for pair, candidate in sorted(merged, key=lambda each: -_confidence(each[1][1])):
        apart = max((_confidence(score) for number in pair for _, score in readings[number]), default=0.0)
        if used.isdisjoint(pair) and _confidence(candidate[1]) > min(_MERGED, apart):
            used.update(pair)
            readings[pair[0]], readings[pair[1]] = [candidate], []


def _confidence(scores: Scores) -> float:
    """The probability of the likeliest digit."""
    return float(scores[:CLASSES].max())


def _are_bars(scores: Iterable[Scores]) -> bool:
    return all(score.argmax() == 1 or is_doubtful(score) for score in scores)


def _usual_height(candidates: Sequence[Candidate]) -> float:
    heights = [box.height for box, score in candidates if _is_digit(score, 0.5)]
    return float(np.median(heights)) if heights else 0.0


def _apply_page_prior(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Bayes' rule: a doubtful shape among digits is likely to be one too; in a text or a texture it is not.

    The network was trained on a given share of digits. A page's own share is estimated from all its other shapes.
    """
    digits = sum(1 - float(score[CLASSES]) for _, score in candidates) + _PRIOR_COUNT * _TRAINING_SHARE
    weighted = []
    for box, score in candidates:
        share = (digits - 1 + float(score[CLASSES])) / (len(candidates) - 1 + _PRIOR_COUNT)
        odds = (1 - share) / share / ((1 - _TRAINING_SHARE) / _TRAINING_SHARE)
        weights = np.append(np.ones(CLASSES), odds).astype(np.float32)
        weighted.append((box, np.asarray(score * weights / (score @ weights), np.float32)))
    return weighted


def _is_digit(score: Scores, threshold: float) -> bool:
    """Whether a shape is some digit."""
    return bool(1 - score[CLASSES] >= threshold and _confidence(score) >= _VALUE_SHARE * threshold)
