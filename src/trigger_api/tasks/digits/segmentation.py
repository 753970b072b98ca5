"""From a picture to the shapes that the network scores: its components, and other ways to read the doubtful ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from trigger_api.media.image import ImageLimits, decode
from trigger_api.tasks.digits.binarization import binarize
from trigger_api.tasks.digits.components import BoundingBox, Component, find_components
from trigger_api.tasks.digits.form_frames import remove_frames
from trigger_api.tasks.digits.merging import Pair, find_broken, merge
from trigger_api.tasks.digits.mnist import normalise
from trigger_api.tasks.digits.ruled_lines import remove_ruled_lines
from trigger_api.tasks.digits.separators import remove_separators
from trigger_api.tasks.digits.splitting import Span, find_candidates, find_cuts, may_be_touching

Shape = NDArray[np.float32]
"""One shape as the network takes it, ``(28, 28)``."""

_MAX_ALTERNATIVES = 16  # components that are split, and pairs that are merged, on one page


@dataclass(frozen=True)
class Page:
    """The components of a picture; ``scale`` pixels of the picture are one pixel of theirs."""

    components: list[Component]
    width: int
    height: int
    scale: float

    def to_picture(self, box: BoundingBox) -> BoundingBox:
        """A component's box in the picture's own pixels."""
        top, left = round(box.top * self.scale), round(box.left * self.scale)
        bottom, right = round(box.bottom * self.scale), round(box.right * self.scale)
        return BoundingBox(top, left, min(max(bottom, top + 1), self.height), min(max(right, left + 1), self.width))


@dataclass(frozen=True)
class Lattice:
    """A component that may be several digits: the number of its last cut, and the part between any two cuts."""

    last: int
    candidates: dict[Span, Component]


@dataclass(frozen=True)
class Alternatives:
    """Other ways to read components: those that may be split, by number, and pairs that may be one digit."""

    lattices: dict[int, Lattice]
    merged: dict[Pair, Component]

    @property
    def components(self) -> list[Component]:
        """What the network has to score: the candidates of each lattice, then the merged pairs."""
        candidates = [part for lattice in self.lattices.values() for part in lattice.candidates.values()]
        return candidates + list(self.merged.values())


def segment(data: bytes, limits: ImageLimits) -> tuple[Page, list[Shape]]:
    """Decode a picture and find its components, also in the shape that the network takes.

    Raises:
        ServiceError: the picture cannot be decoded; see ``media.image.decode``.
    """
    image = decode(data, limits)
    foreground = binarize(image.pixels)
    components = find_components(remove_ruled_lines(remove_separators(remove_frames(foreground))))
    scale = max(image.pixels.shape) / max(foreground.ink.shape)
    return Page(components, image.width, image.height, scale), _shapes(components)


def find_alternatives(components: Sequence[Component], doubtful: Sequence[bool]) -> tuple[Alternatives, list[Shape]]:
    """Every way to split the doubtful components that are wide, and to merge doubtful ones with a neighbour."""
    wide = [number for number, each in enumerate(components) if doubtful[number] and may_be_touching(each)]
    lattices = {number: _lattice(components[number]) for number in wide[:_MAX_ALTERNATIVES]}
    pairs = islice(find_broken(components, doubtful), _MAX_ALTERNATIVES)
    merged = {(first, second): merge(components[first], components[second]) for first, second in pairs}
    alternatives = Alternatives(lattices, merged)
    return alternatives, _shapes(alternatives.components)


def _lattice(component: Component) -> Lattice:
    cuts = find_cuts(component)
    return Lattice(len(cuts) - 1, find_candidates(component, cuts))


def _shapes(components: Sequence[Component]) -> list[Shape]:
    return [normalise(component.ink) for component in components]
