"""Scenes composed for the detector: FER2013's faces pasted into photos, beside the photos' own faces and distractors.

Distractors, squares of photos without faces, are pasted in the same way and at the same resolution as faces, so that
neither a border nor blur gives a face away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import SIDE, Faces
from trigger_api.evaluation.emotions.detection_agreement import MIN_CONFIDENCE, Boxes
from trigger_api.media.letterbox import GREY
from trigger_api.training.emotions.detector_loss import TARGET
from trigger_api.training.loop import BatchSampler, TrainingConfig

MOST = 20
"""Faces of a scene in its targets."""
WIDTH, HEIGHT = 0.78, 1.04
"""Of MTCNN's box on a face of FER2013, as shares of the picture's side: the medians of 1 000 faces."""
_SIZES = (14.0, 150.0)  # pixels of a face's picture
_LARGE = (60.0, 190.0)  # of half of them: small faces hardly show an emotion
_ZOOM = (0.7, 2.2)
_GRIDS = ((1, 0.12), (2, 0.4), (3, 0.3), (4, 0.18))  # tiles across and down a mosaic, and how often
_BALANCE = 0.25  # of emotions in mosaics: 0 for as frequent as they are, 1 for equally frequent
_FILLED = (0.65, 1.05)  # of a tile's side
_VISIBLE = 0.4  # share of a face within the scene, below which it is ignored

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Photo:
    """A grey photo, and its faces' ``boxes (n, 5)`` and emotions ``(n, 7)``."""

    pixels: NDArray[np.uint8]
    boxes: Boxes
    emotions: NDArray[np.float32]


@dataclass(frozen=True)
class Dataset:
    """Faces with the probabilities of their emotions ``(n, 7)``; photos with faces, and without."""

    faces: Faces
    emotions: NDArray[np.float32]
    with_faces: Sequence[Photo]
    without_faces: Sequence[Photo]


class SceneSampler(BatchSampler):
    """Scenes, in which each face is pasted about once an epoch.

    Some scenes are photos without pasted faces (``background_only``); some are mosaics, full of faces, which teach most
    about emotions in the time.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        side: int,
        *,
        pasted: int = 5,
        background_only: float = 0.2,
        mosaic: float = 0.4,
    ) -> None:
        """``pasted`` faces are tried on a scene; ``background_only`` and ``mosaic`` are shares of the scenes."""
        super().__init__(config, len(dataset.faces), size=config.batch_size * pasted, seed=(5,))
        self._dataset = dataset
        self._side = side
        self._pasted = pasted
        self._background_only = background_only
        self._mosaic = mosaic
        self._probs = _balanced_probs(dataset.emotions.argmax(axis=1))

    def batch(self, members: Sequence[int], step: int) -> tuple[dict[str, Grey], NDArray[np.float32]]:
        """Make one batch: scenes ``(n, side, side, 1)`` and their faces ``(n, MOST, TARGET)``."""
        rng = np.random.default_rng((step, 6))
        parts = np.array(members).reshape(-1, self._pasted)
        scenes, targets = zip(*(self._scene(part, rng) for part in parts), strict=True)
        return {"faces": np.stack(scenes)[..., None]}, np.stack(targets)

    def _scene(self, members: NDArray[np.intp], rng: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
        luck = rng.random()
        if luck < self._background_only:
            return self._background_scene(rng)
        if luck < self._background_only + self._mosaic:
            return self._mosaic_scene(rng)
        scene, targets = _crop_photo(self._photo(0.4, rng), self._side, rng)
        sizes = [_size(rng) for _ in members]
        rows = list(targets)
        for member, size in sorted(zip(members, sizes, strict=True), key=lambda pair: -pair[1]):
            if rng.random() < 0.25:
                self._paste_distractor(scene, rows, rng)
            box = _free(rows, size, self._side, rng)
            if box is not None:
                rows.append(self._paste_face(scene, int(member), box, rng))
        return _light(scene, rng), _pad(rows)

    def _mosaic_scene(self, rng: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
        """One face in each tile, somewhere in it."""
        scene, _ = _crop_photo(self._photo(0.0, rng), self._side, rng)
        counts, probs = zip(*_GRIDS, strict=True)
        count = int(rng.choice(counts, p=probs))
        tile, rows = self._side / count, []
        members = rng.choice(len(self._probs), count * count, p=self._probs)
        for number, member in enumerate(members):
            size = tile * rng.uniform(*_FILLED)
            left, top = tile * np.array([number % count, number // count]) + rng.uniform(0, 1, 2) * (tile - size)
            rows.append(self._paste_face(scene, int(member), (float(left), float(top), float(size)), rng))
        return _light(scene, rng), _pad(rows)

    def _paste_face(
        self, scene: Grey, member: int, box: tuple[float, float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Paste a face, and return its target."""
        _paste(scene, self._dataset.faces[member], box, rng)
        return np.array([*_face(box), *self._dataset.emotions[member], 1, 1], np.float32)

    def _background_scene(self, rng: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
        """A photo with nothing pasted: what looks like a face there mostly is none."""
        scene, targets = _crop_photo(self._photo(0.5, rng), self._side, rng)
        return _light(scene, rng), _pad(targets)

    def _photo(self, share: float, rng: np.random.Generator) -> Photo:
        """A photo, which shows faces with this probability."""
        with_faces = len(self._dataset.with_faces) and rng.random() < share
        pool = self._dataset.with_faces if with_faces else self._dataset.without_faces
        return pool[int(rng.integers(len(pool)))]

    def _paste_distractor(self, scene: Grey, rows: Sequence[Any], rng: np.random.Generator) -> None:
        box = _free(rows, _size(rng), self._side, rng)
        if box is None:
            return
        pixels = self._dataset.without_faces[int(rng.integers(len(self._dataset.without_faces)))].pixels
        large = int(rng.integers(32, min(pixels.shape) + 1)) if min(pixels.shape) > 32 else min(pixels.shape)
        top, left = (int(rng.integers(0, length - large + 1)) for length in pixels.shape)
        square = PIL.Image.fromarray(pixels[top : top + large, left : left + large])
        _paste(scene, np.asarray(square.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR)), box, rng)


def _balanced_probs(labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """The probability of each face in a mosaic: higher for rare emotions."""
    probs = np.bincount(labels)[labels] ** -_BALANCE
    return np.asarray(probs / probs.sum())


def _size(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(_LARGE if rng.random() < 0.5 else _SIZES))))


def _crop_photo(photo: Photo, side: int, rng: np.random.Generator) -> tuple[Grey, list[NDArray[np.float32]]]:
    """A photo scaled, shifted and mirrored, and the targets of its own faces."""
    height, width = photo.pixels.shape
    scale = side / max(height, width) * np.exp(rng.uniform(*np.log(_ZOOM)))
    room = side - scale * np.array([width, height])
    across, down = rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    if len(photo.boxes) and rng.random() < 0.7:  # centre on one of its faces
        box = photo.boxes[int(rng.integers(len(photo.boxes))), :4]
        scale = _size(rng) / max(box[3] - box[1], 1.0)
        across, down = rng.uniform(0.2, 0.8, 2) * side - scale * (box[:2] + box[2:]) / 2
    source = PIL.Image.fromarray(photo.pixels)
    shape, method = (side, side), PIL.Image.Transform.AFFINE
    inverse = (1 / scale, 0, -across / scale, 0, 1 / scale, -down / scale)
    reduction = max(1, int(0.8 / scale))  # against aliasing
    view = source.reduce(reduction).transform(
        shape, method, tuple(x / reduction for x in inverse), PIL.Image.Resampling.BILINEAR
    )
    scene = np.asarray(view, np.float32)
    if rng.random() < 0.5:  # grey around the photo, as in a letterbox
        outside = np.asarray(PIL.Image.new("L", (width, height), 1).transform(shape, method, inverse)) == 0
        scene = np.where(outside, np.float32(GREY), scene)
    boxes = photo.boxes[:, :4] * scale + np.tile([across, down], 2)
    if rng.random() < 0.5:
        scene = scene[:, ::-1]
        boxes = np.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], axis=1)
    return np.array(scene, np.float32), _photo_targets(boxes, photo, side)


def _photo_targets(boxes: NDArray[np.float32], photo: Photo, side: int) -> list[NDArray[np.float32]]:
    rows = []
    for box, emotions, sure in zip(boxes, photo.emotions, photo.boxes[:, 4] >= MIN_CONFIDENCE, strict=True):
        inside = box.clip(0, side)
        visible = np.prod(inside[2:] - inside[:2]) / max(np.prod(box[2:] - box[:2]), 1e-6)
        if visible > 0:
            small = min(inside[2:] - inside[:2]) < _SIZES[0] / 2
            counts = 1 if sure and visible > _VISIBLE and not small else -1
            rows.append(np.array([*inside, *emotions, 0.5, counts], np.float32))
    return rows


def _free(
    rows: Sequence[NDArray[np.float32]], size: float, side: int, rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """Left, top and size of a square clear of all targets; a little of it may lie outside the scene."""
    size = min(size, 0.95 * side)
    for _ in range(8):
        left, top = rng.uniform(-0.15 * size, side - 0.85 * size, 2)
        if all(min(left + size, row[2]) <= max(left, row[0]) or min(top + size, row[3]) <= max(top, row[1])
               for row in rows):  # fmt: skip
            return float(left), float(top), float(size)
    return None


def _face(box: tuple[float, float, float]) -> tuple[float, float, float, float]:
    """MTCNN's box for a face of FER2013 that is pasted there."""
    left, top, size = box
    across, down = left + size / 2, top + size / 2
    return across - WIDTH * size / 2, down - HEIGHT * size / 2, across + WIDTH * size / 2, down + HEIGHT * size / 2


def _paste(scene: Grey, picture: NDArray[np.uint8], box: tuple[float, float, float], rng: np.random.Generator) -> None:
    """Paste a picture: rotated, mirrored, in another light, its border sharp or soft, round or square."""
    left, top, size = box
    first = np.maximum(np.floor([top, left]).astype(int), 0)
    last = np.minimum(np.ceil([top + size, left + size]).astype(int), scene.shape)
    high, wide = last - first
    if high < 4 or wide < 4:
        return
    small = max(8, min(SIDE, round(size)))  # reduced first, against aliasing
    reduced = np.asarray(PIL.Image.fromarray(picture).resize((small, small), PIL.Image.Resampling.BOX))
    source = PIL.Image.fromarray(np.pad(reduced, small // 4, mode="symmetric"))  # what a rotation brings in
    centre = small // 4 + small / 2
    angle, flip = rng.normal(0, 0.15), rng.choice([-1, 1])
    scale = small / size
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    across, down = left + size / 2 - first[1], top + size / 2 - first[0]
    a, b, d, e = flip * cosine, -flip * sine, sine, cosine
    inverse = (a, b, centre - a * across - b * down, d, e, centre - d * across - e * down)
    pasted = source.transform(
        (int(wide), int(high)), PIL.Image.Transform.AFFINE, inverse, PIL.Image.Resampling.BILINEAR
    )
    place = scene[first[0] : last[0], first[1] : last[1]]
    mask = _mask(place.shape, (across, down), size, rng)
    bright = (np.asarray(pasted, np.float32) - 128) * rng.uniform(0.6, 1.2) + 128 + rng.normal(0, 20)
    place += mask * (bright.clip(0, 255) - place)


def _mask(shape: tuple[int, ...], middle: tuple[float, float], size: float, rng: np.random.Generator) -> Grey:
    """Opacity of the picture, falling to 0 at its border: an ellipse or nearly the whole square."""
    rows = (np.arange(shape[0], dtype=np.float32) + 0.5 - middle[1])[:, None] * (2 / size)
    columns = (np.arange(shape[1], dtype=np.float32) + 0.5 - middle[0])[None] * (2 / size)
    soft = rng.uniform(0.04, 0.4)
    if rng.random() < 0.5:
        return np.asarray(((1.15 - rows**2 - columns**2) / soft).clip(0, 1))
    return np.asarray(((1 - rows**2) / soft).clip(0, 1) * ((1 - columns**2) / soft).clip(0, 1))


def _light(scene: Grey, rng: np.random.Generator) -> Grey:
    """Brightness, contrast, gamma and noise, a little each."""
    levels = 255 * np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))
    levels = (levels - 128) * rng.uniform(0.6, 1.2) + 128 + rng.uniform(-20, 20)
    lit = levels.clip(0, 255).astype(np.float32)[scene.clip(0, 255).astype(np.uint8)]
    if rng.random() < 0.3:
        lit += (rng.random(scene.shape, np.float32) - 0.5) * np.float32(rng.uniform(5, 40))
    return np.asarray(lit.clip(0, 255))


def _pad(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    targets = np.zeros((MOST, TARGET), np.float32)
    for number, row in enumerate(rows[-MOST:]):
        targets[number] = row
    return targets
