"""Scenes composed for the detector: FER2013's faces on photos, between the photos' own faces and what is no face.

Faces and squares of photos without faces are laid on in the same way and as coarse, so that neither a border nor
coarseness tells a face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import SIDE, Faces
from trigger_api.evaluation.emotions.detection_agreement import MIN_CONFIDENCE, Boxes
from trigger_api.training.emotions.detector_loss import TARGET

MOST = 20
"""Faces of a scene that are told."""
WIDE, HIGH = 0.78, 1.04
"""MTCNN's box on a face of FER2013, against the picture's side: the medians of 1 000 faces."""
_SIZES = (14.0, 150.0)  # pixels of a face's picture
_LARGE = (60.0, 190.0)  # of half of them: on small ones nobody sees what they show
_ZOOM = (0.7, 2.2)
_TILES = ((1, 0.12), (2, 0.4), (3, 0.3), (4, 0.18))  # so many across and down, and how often
_EVEN = 0.25  # in tiles: 0 for emotions as often as they are, 1 for all of them as often as each other
_FILLED = (0.65, 1.05)  # of a tile's side
_HIDDEN = 0.4  # share of a face left in the scene, below which nothing is said of it

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Photo:
    """A grey photo; of its faces ``boxes (n, 5)`` and emotions ``(n, 7)``."""

    pixels: NDArray[np.uint8]
    boxes: Boxes
    emotions: NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """Faces with the shares of their emotions ``(n, 7)``; photos with faces, and without."""

    faces: Faces
    emotions: NDArray[np.float32]
    peopled: Sequence[Photo]
    empty: Sequence[Photo]


class Dealer:
    """Deals scenes; each face is laid on about once an epoch. A step is its seed.

    A share of the scenes is ``bare`` photos. Another is ``tiled``: full of faces, which teaches most about emotions for
    the price.
    """

    def __init__(
        self, material: Material, size: int, side: int, *, laid: int = 5, bare: float = 0.2, tiled: float = 0.4
    ) -> None:
        self._material = material
        self._size = size
        self._side = side
        self._laid = laid
        self._bare = bare
        self._tiled = tiled
        self._odds = _evened(material.emotions.argmax(axis=1))

    def epoch(self, number: int) -> list[list[int]]:
        """The faces of each batch."""
        count = self._size * self._laid
        order = np.random.default_rng((number, 5)).permutation(len(self._material.faces))
        return [order[i : i + count].tolist() for i in range(0, len(order) - count + 1, count)]

    def batch(
        self, members: Sequence[int], step: int
    ) -> tuple[Mapping[str, Grey], NDArray[np.float32], NDArray[np.float32]]:
        """Scenes ``(n, side, side, 1)`` and their faces ``(n, MOST, TARGET)``."""
        random = np.random.default_rng((step, 6))
        parts = np.array(members).reshape(self._size, self._laid)
        made = [self._scene(part, random) for part in parts]
        scenes = np.stack([scene for scene, _ in made])[..., None]
        return {"faces": scenes}, np.stack([faces for _, faces in made]), np.ones(self._size, np.float32)

    def _scene(self, members: NDArray[np.intp], random: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
        luck = random.random()
        if luck < self._bare:
            return self._bare_scene(random)
        if luck < self._bare + self._tiled:
            return self._tiled_scene(random)
        scene, told = _viewed(self._photo(0.4, random), self._side, random)
        sizes = [_size(random) for _ in members]
        rows = list(told)
        for member, size in sorted(zip(members, sizes, strict=True), key=lambda pair: -pair[1]):
            if random.random() < 0.25:
                self._lay_nothing(scene, rows, random)
            box = _free(rows, size, self._side, random)
            if box is not None:
                rows.append(self._lay_face(scene, int(member), box, random))
        return _lit(scene, random), _padded(rows)

    def _tiled_scene(self, random: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
        """One face in each tile, somewhere in it."""
        scene, _ = _viewed(self._photo(0.0, random), self._side, random)
        counts, odds = zip(*_TILES, strict=True)
        count = int(random.choice(counts, p=odds))
        tile, rows = self._side / count, []
        members = random.choice(len(self._odds), count * count, p=self._odds)
        for number, member in enumerate(members):
            size = tile * random.uniform(*_FILLED)
            left, top = tile * np.array([number % count, number // count]) + random.uniform(0, 1, 2) * (tile - size)
            rows.append(self._lay_face(scene, int(member), (float(left), float(top), float(size)), random))
        return _lit(scene, random), _padded(rows)

    def _lay_face(
        self, scene: Grey, member: int, box: tuple[float, float, float], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """Lay a face on, and say what is to be told of it."""
        _lay(scene, self._material.faces[member], box, random)
        return np.array([*_face(box), *self._material.emotions[member], 1, 1], np.float32)

    def _bare_scene(self, random: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
        """A photo as it is: what looks like a face on it mostly is none."""
        scene, told = _viewed(self._photo(0.5, random), self._side, random)
        return _lit(scene, random), _padded(told)

    def _photo(self, share: float, random: np.random.Generator) -> Photo:
        """A photo, of which a share shows faces."""
        peopled = len(self._material.peopled) and random.random() < share
        pool = self._material.peopled if peopled else self._material.empty
        return pool[int(random.integers(len(pool)))]

    def _lay_nothing(self, scene: Grey, rows: Sequence[Any], random: np.random.Generator) -> None:
        box = _free(rows, _size(random), self._side, random)
        if box is None:
            return
        pixels = self._material.empty[int(random.integers(len(self._material.empty)))].pixels
        large = int(random.integers(32, min(pixels.shape) + 1)) if min(pixels.shape) > 32 else min(pixels.shape)
        top, left = (int(random.integers(0, length - large + 1)) for length in pixels.shape)
        square = PIL.Image.fromarray(pixels[top : top + large, left : left + large])
        _lay(scene, np.asarray(square.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR)), box, random)


def _evened(labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """How often each face is drawn: more often than others if few show what it shows."""
    odds = np.bincount(labels)[labels] ** -_EVEN
    return np.asarray(odds / odds.sum())


def _size(random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(*np.log(_LARGE if random.random() < 0.5 else _SIZES))))


def _viewed(photo: Photo, side: int, random: np.random.Generator) -> tuple[Grey, list[NDArray[np.float32]]]:
    """A photo nearer or farther, moved and mirrored, and its own faces there."""
    height, width = photo.pixels.shape
    scale = side / max(height, width) * np.exp(random.uniform(*np.log(_ZOOM)))
    room = side - scale * np.array([width, height])
    across, down = random.uniform(np.minimum(room, 0), np.maximum(room, 0))
    if len(photo.boxes) and random.random() < 0.7:  # look at one of its faces
        box = photo.boxes[int(random.integers(len(photo.boxes))), :4]
        scale = _size(random) / max(box[3] - box[1], 1.0)
        across, down = random.uniform(0.2, 0.8, 2) * side - scale * (box[:2] + box[2:]) / 2
    source = PIL.Image.fromarray(photo.pixels)
    shape, method = (side, side), PIL.Image.Transform.AFFINE
    inverse = (1 / scale, 0, -across / scale, 0, 1 / scale, -down / scale)
    coarse = max(1, int(0.8 / scale))  # first made smaller, so that nothing flickers
    view = source.reduce(coarse).transform(
        shape, method, tuple(x / coarse for x in inverse), PIL.Image.Resampling.BILINEAR
    )
    scene = np.asarray(view, np.float32)
    if random.random() < 0.5:  # as letterboxes are, where the photo has ended
        ended = np.asarray(PIL.Image.new("L", (width, height), 1).transform(shape, method, inverse)) == 0
        scene = np.where(ended, np.float32(114), scene)
    boxes = photo.boxes[:, :4] * scale + np.tile([across, down], 2)
    if random.random() < 0.5:
        scene = scene[:, ::-1]
        boxes = np.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], axis=1)
    return np.array(scene, np.float32), _told(boxes, photo, side)


def _told(boxes: NDArray[np.float32], photo: Photo, side: int) -> list[NDArray[np.float32]]:
    rows = []
    for box, emotions, sure in zip(boxes, photo.emotions, photo.boxes[:, 4] >= MIN_CONFIDENCE, strict=True):
        inside = box.clip(0, side)
        left = np.prod(inside[2:] - inside[:2]) / max(np.prod(box[2:] - box[:2]), 1e-6)
        if left > 0:
            small = min(inside[2:] - inside[:2]) < _SIZES[0] / 2
            counts = 1 if sure and left > _HIDDEN and not small else -1
            rows.append(np.array([*inside, *emotions, 0.5, counts], np.float32))
    return rows


def _free(
    rows: Sequence[NDArray[np.float32]], size: float, side: int, random: np.random.Generator
) -> tuple[float, float, float] | None:
    """Left, top and size of a square that no face told of lies in; a little of it may be outside."""
    size = min(size, 0.95 * side)
    for _ in range(8):
        left, top = random.uniform(-0.15 * size, side - 0.85 * size, 2)
        if all(min(left + size, row[2]) <= max(left, row[0]) or min(top + size, row[3]) <= max(top, row[1])
               for row in rows):  # fmt: skip
            return float(left), float(top), float(size)
    return None


def _face(box: tuple[float, float, float]) -> tuple[float, float, float, float]:
    """MTCNN's box of a picture of FER2013 that lies there."""
    left, top, size = box
    across, down = left + size / 2, top + size / 2
    return across - WIDE * size / 2, down - HIGH * size / 2, across + WIDE * size / 2, down + HIGH * size / 2


def _lay(scene: Grey, picture: NDArray[np.uint8], box: tuple[float, float, float], random: np.random.Generator) -> None:
    """Lay a picture on the scene: turned, mirrored, in another light, its border sharp or soft, round or square."""
    left, top, size = box
    first = np.maximum(np.floor([top, left]).astype(int), 0)
    last = np.minimum(np.ceil([top + size, left + size]).astype(int), scene.shape)
    high, wide = last - first
    if high < 4 or wide < 4:
        return
    small = max(8, min(SIDE, round(size)))  # coarser before it is made smaller, so that nothing flickers
    coarse = np.asarray(PIL.Image.fromarray(picture).resize((small, small), PIL.Image.Resampling.BOX))
    source = PIL.Image.fromarray(np.pad(coarse, small // 4, mode="symmetric"))  # what a turn brings in
    centre = small // 4 + small / 2
    angle, flip = random.normal(0, 0.15), random.choice([-1, 1])
    scale = small / size
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    across, down = left + size / 2 - first[1], top + size / 2 - first[0]
    a, b, d, e = flip * cosine, -flip * sine, sine, cosine
    inverse = (a, b, centre - a * across - b * down, d, e, centre - d * across - e * down)
    laid = source.transform((int(wide), int(high)), PIL.Image.Transform.AFFINE, inverse, PIL.Image.Resampling.BILINEAR)
    place = scene[first[0] : last[0], first[1] : last[1]]
    mask = _mask(place.shape, (across, down), size, random)
    bright = (np.asarray(laid, np.float32) - 128) * random.uniform(0.6, 1.2) + 128 + random.normal(0, 20)
    place += mask * (bright.clip(0, 255) - place)


def _mask(shape: tuple[int, ...], middle: tuple[float, float], size: float, random: np.random.Generator) -> Grey:
    """1 where the picture is laid on, falling to 0 at its border: an ellipse or nearly the whole square."""
    rows = (np.arange(shape[0], dtype=np.float32) + 0.5 - middle[1])[:, None] * (2 / size)
    columns = (np.arange(shape[1], dtype=np.float32) + 0.5 - middle[0])[None] * (2 / size)
    soft = random.uniform(0.04, 0.4)
    if random.random() < 0.5:
        return np.asarray(((1.15 - rows**2 - columns**2) / soft).clip(0, 1))
    return np.asarray(((1 - rows**2) / soft).clip(0, 1) * ((1 - columns**2) / soft).clip(0, 1))


def _lit(scene: Grey, random: np.random.Generator) -> Grey:
    """Brightness, contrast, gamma, grain: a little each."""
    levels = 255 * np.linspace(0, 1, 256) ** np.exp(random.normal(0, 0.25))
    levels = (levels - 128) * random.uniform(0.6, 1.2) + 128 + random.uniform(-20, 20)
    lit = levels.clip(0, 255).astype(np.float32)[scene.clip(0, 255).astype(np.uint8)]
    if random.random() < 0.3:
        lit += (random.random(scene.shape, np.float32) - 0.5) * np.float32(random.uniform(5, 40))
    return np.asarray(lit.clip(0, 255))


def _padded(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    told = np.zeros((MOST, TARGET), np.float32)
    for number, row in enumerate(rows[-MOST:]):
        told[number] = row
    return told
