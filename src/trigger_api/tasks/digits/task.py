"""Handwritten digits: every digit on a picture, the lines they stand in and the numbers they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trigger_api.registry import Model
from trigger_api.scheduler import Tensors
from trigger_api.tasks.base import Task, threshold_of
from trigger_api.tasks.digits.components import BoundingBox
from trigger_api.tasks.digits.decoding import CLASSES, Candidate, Scores, is_doubtful, resolve, select_digits
from trigger_api.tasks.digits.layout import find_lines, find_numbers
from trigger_api.tasks.digits.segmentation import Alternatives, Page, Shape, find_alternatives, segment

_SHAPE_BYTES = 28 * 28 * 4  # what the network takes of one component: a measure of how much work a page is


@dataclass(frozen=True)
class Digit:
    """One digit.

    Attributes:
        value: 0 to 9.
        probabilities: of 0 to 9; what is missing to 1 is the probability that it is not a digit.
        box: in the picture's pixels.
        line: which of the result's lines it stands in.
        number: which of the result's numbers it belongs to.
    """

    value: int
    probabilities: tuple[float, ...]
    box: BoundingBox
    line: int
    number: int

    @property
    def score(self) -> float:
        """The probability of the value."""
        return self.probabilities[self.value]


@dataclass(frozen=True)
class DigitsResult:
    """The digits on one picture.

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


class Digits(Task):
    """Reads every digit on a picture."""

    name = "digits"

    async def predict(
        self, data: bytes, *, model: str | None = None, version: str | None = None, threshold: float | None = None
    ) -> DigitsResult:
        """Read one picture, given as the bytes of a picture file.

        Args:
            data: the file.
            model: the name of a model; the default one if not given.
            version: a number or a label; see ``Registry.find``.
            threshold: probability of being any digit from which a shape counts, instead of the card's.

        Raises:
            ServiceError: the picture is rejected, or the engine cannot answer in time.
        """
        async with self._acquire(model, version) as (served, deadline):
            card, threshold = served.card, threshold_of(served.card, threshold)
            page, shapes = await self._engine.preprocess(segment, data, self._context.image)
            scores = await self._score(shapes, served, deadline)
            alternatives, shapes = await self._engine.preprocess(_find_alternatives, page, scores)
            others = await self._score(shapes, served, deadline)
            size = (len(scores) + len(others)) * _SHAPE_BYTES
            digits, numbers = await self._engine.preprocess(
                postprocess, page, scores, alternatives, others, threshold, size=size
            )
            return DigitsResult(digits, numbers, page.width, page.height, card.name, card.version)

    async def _score(self, shapes: Sequence[Shape], served: Model, deadline: float) -> list[Scores]:
        """Score all shapes of one picture at once: the engine batches them."""
        image, scores = served.card.inputs[0].name, served.card.outputs[0].name
        items: list[Tensors] = [{image: shape[..., None]} for shape in shapes]
        return [output[scores] for output in await self._engine.infer(served.queue, items, deadline)]


def _find_alternatives(page: Page, scores: Sequence[Scores]) -> tuple[Alternatives, list[Shape]]:
    return find_alternatives(page.components, [is_doubtful(score) for score in scores])


def postprocess(
    page: Page,
    scores: Sequence[Scores],
    alternatives: Alternatives,
    alternative_scores: Sequence[Scores],
    threshold: float,
) -> tuple[tuple[Digit, ...], tuple[str, ...]]:
    """The digits and the numbers on a page, from the scores of its components and of their alternatives."""
    candidates = select_digits(resolve(page.components, scores, alternatives, alternative_scores), threshold)
    boxes = [box for box, _ in candidates]
    digits: list[Digit] = []
    numbers: list[str] = []
    for row, line in enumerate(find_lines(boxes)):
        for members in find_numbers(boxes, line):
            number = [_digit(candidates[member], page, row, len(numbers)) for member in members]
            digits += number
            numbers.append("".join(str(digit.value) for digit in number))
    return tuple(digits), tuple(numbers)


def _digit(candidate: Candidate, page: Page, line: int, number: int) -> Digit:
    box, scores = candidate
    return Digit(
        value=int(scores[:CLASSES].argmax()),
        probabilities=tuple(float(score) for score in scores[:CLASSES]),
        box=page.to_picture(box),
        line=line,
        number=number,
    )
