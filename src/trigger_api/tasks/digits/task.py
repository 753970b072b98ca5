"""Handwritten digits: every digit on a picture, the lines they stand in and the numbers they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.image import ImageLimits, Pixels, decode
from trigger_api.model_card import Decision
from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task
from trigger_api.tasks.digits.binarization import find_ink
from trigger_api.tasks.digits.components import Box, Piece, find_pieces
from trigger_api.tasks.digits.layout import find_lines, find_numbers
from trigger_api.tasks.digits.merging import Pair, find_joins, join
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.tasks.digits.ruled_lines import without_rules
from trigger_api.tasks.digits.splitting import Span, find_cuts, likeliest, may_be_several, spans

KINDS = 10
_SURE = 0.85  # a piece that scores so high is one digit, however wide it is
_CUT = 0.5  # how likely it is that digits touch, against one digit that is doubtful
_UNSURE = 0.7  # of the threshold
_JOINED = 0.9  # two pieces that score so high together are one, even if one of them is a digit by itself
_LEARNED_SHARE = 0.88  # of digits, in what the network learned from
_PRIOR = 2.0  # shapes that a page is assumed to hold beside its own, of that share
_MOST_DOUBTS = 16  # pieces that are cut, and pairs that are joined, on one page
_SHAPE_BYTES = 28 * 28 * 4  # what the network takes of a piece: the measure of how much there is to go through
_SMALLEST = 0.4  # of the usual height on the page: a smaller "digit" is a comma, or dirt

Scores = NDArray[np.float32]
"""Probabilities of 0 to 9 and of no digit, shape ``(11,)``."""


@dataclass(frozen=True)
class Digit:
    """One digit: its value, the probabilities of 0 to 9, and its box in the picture's pixels."""

    value: int
    probabilities: tuple[float, ...]
    box: Box
    line: int
    number: int

    @property
    def score(self) -> float:
        """The probability of the value."""
        return self.probabilities[self.value]


@dataclass(frozen=True)
class DigitsResult:
    """What stands on one picture.

    Attributes:
        digits: line by line, each from left to right.
        numbers: digits without a wide gap between them, in the same order.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """

    digits: tuple[Digit, ...]
    numbers: tuple[str, ...]
    width: int
    height: int
    model: str
    version: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The digits of each line."""
        rows = range(1 + max((digit.line for digit in self.digits), default=-1))
        return tuple("".join(str(digit.value) for digit in self.digits if digit.line == row) for row in rows)


@dataclass(frozen=True)
class _Page:
    """A picture's pieces; ``scale`` picture pixels are one pixel of theirs."""

    pieces: list[Piece]
    width: int
    height: int
    scale: float


@dataclass(frozen=True)
class _Several:
    """A piece that may be several digits: how many cuts it has, and the parts between any two."""

    last: int
    parts: dict[Span, Piece]


@dataclass(frozen=True)
class _Doubts:
    """How pieces might be read otherwise: those that may be cut, by their numbers, and pairs that may be one."""

    several: dict[int, _Several]
    joined: dict[Pair, Piece]

    @property
    def pieces(self) -> list[Piece]:
        """What is to be scored: the parts, then what is joined."""
        parts = [part for each in self.several.values() for part in each.parts.values()]
        return parts + list(self.joined.values())


Found = tuple[Box, Scores]


class Digits(Task):
    """Reads every digit on a picture."""

    name = "digits"

    async def predict(
        self, data: bytes, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> DigitsResult:
        """Read one picture, given as the bytes of a PNG, JPEG, WebP, GIF or BMP file.

        Args:
            data: the file.
            model: a model's name; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            threshold: probability of being any digit from which something counts, instead of the card's.

        Raises:
            ServiceError: the picture cannot be taken, or the engine cannot answer in time.
        """
        async with self._acquire(model, version) as (served, deadline):
            card, decision = served.card, served.card.decision or Decision()
            least = decision.threshold if threshold is None else threshold
            page, items = await self._engine.preprocess(_prepare, data, self._context.image)
            scores = await self._score(items, served, deadline)
            doubts, items = await self._engine.preprocess(_doubt, page.pieces, scores)
            others = await self._score(items, served, deadline)
            size = (len(scores) + len(others)) * _SHAPE_BYTES
            digits, numbers = await self._engine.preprocess(_read, page, scores, doubts, others, least, size=size)
            return DigitsResult(digits, numbers, page.width, page.height, card.name, card.version)

    async def _score(self, digits: Sequence[NDArray[np.float32]], served: Model, deadline: float) -> list[Scores]:
        """All of one picture's pieces at once: the engine makes them batches."""
        name, answer = served.card.inputs[0].name, served.card.outputs[0].name
        items: list[Tensors] = [{name: digit[..., None]} for digit in digits]
        return [scores[answer] for scores in await self._engine.infer(served.queue, items, deadline)]


def find_page_pieces(pixels: Pixels) -> tuple[list[Piece], float]:
    """The pieces on a picture that may be digits, and how many of its pixels are one of theirs."""
    sheet = find_ink(pixels)
    return find_pieces(without_rules(sheet)), max(pixels.shape) / max(sheet.ink.shape)


def _prepare(data: bytes, limits: ImageLimits) -> tuple[_Page, list[NDArray[np.float32]]]:
    image = decode(data, limits)
    pieces, scale = find_page_pieces(image.pixels)
    return _Page(pieces, image.width, image.height, scale), [normalise(piece.ink) for piece in pieces]


def _doubt(pieces: Sequence[Piece], scores: Sequence[Scores]) -> tuple[_Doubts, list[NDArray[np.float32]]]:
    """Pieces that are no digit for sure: wide ones in every way that they may be cut, and pairs that may be one."""
    doubtful = [_confidence(score) < _SURE for score in scores]
    several = {}
    wide = [number for number, piece in enumerate(pieces) if doubtful[number] and may_be_several(piece)]
    for number in wide[:_MOST_DOUBTS]:
        cuts = find_cuts(pieces[number])
        several[number] = _Several(len(cuts) - 1, spans(pieces[number], cuts))
    pairs = islice(find_joins(pieces, doubtful), _MOST_DOUBTS)
    joined = {(first, second): join(pieces[first], pieces[second]) for first, second in pairs}
    doubts = _Doubts(several, joined)
    return doubts, [normalise(piece.ink) for piece in doubts.pieces]


def _read(
    page: _Page, scores: Sequence[Scores], doubts: _Doubts, other_scores: Sequence[Scores], least: float
) -> tuple[tuple[Digit, ...], tuple[str, ...]]:
    """The digits and the numbers on a page, from the scores of its pieces and of what was doubtful."""
    return _ordered(_likely(_choose(page.pieces, scores, doubts, other_scores), least), page)


def _choose(
    pieces: Sequence[Piece], scores: Sequence[Scores], doubts: _Doubts, other_scores: Sequence[Scores]
) -> list[Found]:
    """The likeliest reading of every piece: as it is, cut, or joined to its neighbour."""
    rest = iter(other_scores)
    divided = {number: {span: next(rest) for span in each.parts} for number, each in doubts.several.items()}
    readings: dict[int, list[Found]] = {}
    for number, (piece, score) in enumerate(zip(pieces, scores, strict=True)):
        parts = _divide(doubts.several[number], divided[number], score) if number in divided else []
        readings[number] = parts or [(piece.box, score)]
    taken: set[int] = set()
    for pair, score in sorted(zip(doubts.joined, rest, strict=True), key=lambda each: -_confidence(each[1])):
        alone = max((_confidence(other) for number in pair for _, other in readings[number]), default=0.0)
        if taken.isdisjoint(pair) and _confidence(score) > min(_JOINED, alone):
            taken.update(pair)
            readings[pair[0]], readings[pair[1]] = [(doubts.joined[pair].box, score)], []
    return [found for each in readings.values() for found in each]


def _divide(several: _Several, scores: dict[Span, Scores], whole: Scores) -> list[Found]:
    """The likeliest way to cut a piece; empty if it is likelier whole."""
    likely = {span: float(np.log(max(_confidence(score), 1e-6))) for span, score in scores.items()}
    way = likeliest(likely, several.last)
    if len(way) < 2 or _are_bars(scores[span] for span in way):  # a grating is no row of ones
        return []
    if _CUT * np.exp(sum(likely[span] for span in way)) <= _confidence(whole):
        return []
    return [(several.parts[span].box, scores[span]) for span in way]


def _confidence(score: Scores) -> float:
    """The probability of the likeliest digit."""
    return float(score[:KINDS].max())


def _likely(found: Sequence[Found], least: float) -> list[Found]:
    """What is a digit, by its shape and by what else is on the page."""
    usual = _usual_height(found)
    large = [(box, score) for box, score in found if box.height >= _SMALLEST * usual]
    likely = [(box, score) for box, score in _weighed(large) if _is_digit(score, least)]
    # Bars among things that are no digits are no ones, and what is hardly a digit there is none.
    return [] if len(likely) < len(large) / 2 and _are_bars(score for _, score in likely) else likely


def _are_bars(scores: Iterable[Scores]) -> bool:
    return all(score.argmax() == 1 or _confidence(score) < _SURE for score in scores)


def _usual_height(found: Sequence[Found]) -> float:
    heights = [box.height for box, score in found if _is_digit(score, 0.5)]
    return float(np.median(heights)) if heights else 0.0


def _weighed(found: Sequence[Found]) -> list[Found]:
    """Bayes' rule: among digits a doubtful shape is rather one too, in a text or a texture it rather is not.

    The network learned from a given share of digits; the page's own share is known from all the other shapes on it.
    """
    digits = sum(1 - float(score[KINDS]) for _, score in found) + _PRIOR * _LEARNED_SHARE
    weighed = []
    for box, score in found:
        share = (digits - 1 + float(score[KINDS])) / (len(found) - 1 + _PRIOR)
        odds = (1 - share) / share / ((1 - _LEARNED_SHARE) / _LEARNED_SHARE)
        weights = np.append(np.ones(KINDS), odds).astype(np.float32)
        weighed.append((box, np.asarray(score * weights / (score @ weights), np.float32)))
    return weighed


def _is_digit(score: Scores, least: float) -> bool:
    """Whether it is some digit; which one may be a little less certain."""
    return bool(1 - score[KINDS] >= least and _confidence(score) >= _UNSURE * least)


def _ordered(found: Sequence[Found], page: _Page) -> tuple[tuple[Digit, ...], tuple[str, ...]]:
    boxes = [box for box, _ in found]
    digits: list[Digit] = []
    numbers: list[str] = []
    for row, line in enumerate(find_lines(boxes)):
        for members in find_numbers(boxes, line):
            made = [_digit(*found[member], page, row, len(numbers)) for member in members]
            digits += made
            numbers.append("".join(str(digit.value) for digit in made))
    return tuple(digits), tuple(numbers)


def _digit(box: Box, score: Scores, page: _Page, line: int, number: int) -> Digit:
    return Digit(
        value=int(score[:KINDS].argmax()),
        probabilities=tuple(float(each) for each in score[:KINDS]),
        box=_scaled(box, page),
        line=line,
        number=number,
    )


def _scaled(box: Box, page: _Page) -> Box:
    """In the picture's own pixels."""
    top, left = round(box.top * page.scale), round(box.left * page.scale)
    bottom, right = round(box.bottom * page.scale), round(box.right * page.scale)
    return Box(top, left, min(max(bottom, top + 1), page.height), min(max(right, left + 1), page.width))
