"""Draws the sample of the page of emotions: two faces that nobody has, with nothing but the packages of the service.

python samples/faces.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

TARGET = Path(__file__).parents[1] / "src/trigger_api/web/static/samples/faces.jpg"
WIDTH, HEIGHT, SCALE = 640, 400, 3  # pixels; what is drawn is larger by that factor, then made smaller
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Face:
    """A face around (x, y).

    Attributes:
        x: pixels from the left.
        y: pixels from the top.
        skin: its colour.
        hair: the colour of its hair.
        smile: how far the corners of its mouth go up; down, if negative.
        brows: how far the inner ends of its brows go up; down, if negative.
        opened: how far its mouth is open.
        eyes: how far its eyes are open.
    """

    x: float
    y: float
    skin: Colour
    hair: Colour
    smile: float
    brows: float
    opened: float
    eyes: float


FACES = (
    Face(200, 195, (224, 180, 150), (58, 38, 26), smile=17, brows=0, opened=9, eyes=5.2),
    Face(445, 205, (198, 150, 120), (28, 24, 26), smile=-3, brows=9, opened=22, eyes=7.8),
)


def main() -> None:
    """Draw it."""
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), (172, 186, 196))
    for face in FACES:
        _draw(image, face)
    small = np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), np.float64)
    noisy = small + np.random.default_rng(0).normal(0, 3, small.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(TARGET, quality=85)


class _Pen:
    """Draws shapes in units of a face, softly, onto an image."""

    def __init__(self, image: Image.Image, face: Face) -> None:
        self.image = image
        self.face = face

    def ellipse(self, x: float, y: float, width: float, height: float, colour: Colour, blur: float = 1,
                alpha: float = 1) -> None:  # fmt: skip
        """An ellipse with its middle at (x, y)."""
        box = [(x - width, y - height), (x + width, y + height)]
        self._paint(lambda draw: draw.ellipse(self._at(box), fill=255), colour, blur, alpha)

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour, blur: float = 0.6,
             alpha: float = 1) -> None:  # fmt: skip
        """A line."""
        self._paint(
            lambda draw: draw.line(self._at(points), fill=255, width=round(width * SCALE), joint="curve"),
            colour, blur, alpha,
        )  # fmt: skip

    def polygon(self, points: list[tuple[float, float]], colour: Colour, blur: float = 0.8, alpha: float = 1) -> None:
        """An area."""
        self._paint(lambda draw: draw.polygon(self._at(points), fill=255), colour, blur, alpha)

    def _at(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [((self.face.x + x) * SCALE, (self.face.y + y) * SCALE) for x, y in points]

    def _paint(self, shape, colour: Colour, blur: float, alpha: float) -> None:  # type: ignore[no-untyped-def]
        mask = Image.new("L", self.image.size)
        shape(ImageDraw.Draw(mask))
        mask = mask.filter(ImageFilter.GaussianBlur(blur * SCALE)).point(lambda value: value * alpha)
        self.image.paste(Image.new("RGB", self.image.size, colour), mask=mask)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue


def _draw(image: Image.Image, face: Face) -> None:
    pen, skin = _Pen(image, face), face.skin
    pen.ellipse(0, -22, 84, 104, face.hair, 2)  # behind the head
    pen.ellipse(0, 120, 36, 70, _shade(skin, 0.72), 3)  # neck
    pen.ellipse(0, 240, 130, 84, (70, 84, 110), 2)  # a shirt
    pen.ellipse(0, 158, 40, 22, _shade(skin, 0.78), 2)
    for side in (-1, 1):
        pen.ellipse(side * 74, 12, 10, 20, _shade(skin, 0.85), 1.5)
    pen.ellipse(0, 0, 72, 98, skin, 1.2)
    pen.ellipse(0, 30, 58, 66, skin, 4)
    pen.ellipse(-20, -50, 38, 24, _shade(skin, 1.1), 14, 0.7)  # light on the forehead
    for side in (-1, 1):
        pen.ellipse(side * 57, 14, 9, 56, _shade(skin, 0.74), 7, 0.8)  # the sides turn away
        pen.ellipse(side * 38, 24, 18, 13, (214, 120, 104), 9, 0.35)  # cheeks
        _eye(pen, side)
    _nose(pen)
    _mouth(pen)
    pen.ellipse(0, 92, 40, 10, _shade(skin, 0.7), 7, 0.6)
    pen.ellipse(0, -92, 70, 30, face.hair, 3)  # a fringe
    pen.line([(-66, -70), (-74, -20)], 12, face.hair, 3)
    pen.line([(66, -70), (74, -20)], 12, face.hair, 3)


def _eye(pen: _Pen, side: int) -> None:
    skin, hair, x, y = pen.face.skin, pen.face.hair, side * 29, -14
    pen.ellipse(x, y - 2, 21, 15, _shade(skin, 0.66), 5, 0.7)  # the socket
    pen.ellipse(x, y, 14.5, pen.face.eyes, (242, 240, 236), 0.7)
    pen.ellipse(x, y, 6.6, min(7, pen.face.eyes), (72, 52, 36), 0.5)
    pen.ellipse(x, y, 3.4, 3.6, (12, 10, 10), 0.4)
    pen.ellipse(x - 2.5, y - 2.5, 1.6, 1.6, (255, 255, 255), 0.3)
    lid = [(x + step, y - 1 - pen.face.eyes + 0.018 * step * step) for step in range(-16, 17, 2)]
    pen.line([(a, float(b)) for a, b in lid], 3, (40, 26, 22), 0.6)
    pen.line(
        [(x + step, y + 0.6 + pen.face.eyes - 0.014 * step * step) for step in range(-13, 14, 2)],
        1.4,
        _shade(skin, 0.6),
        0.7,
        0.8,
    )
    inner, outer = pen.face.brows, -1.0
    brow = [(x - side * 19, y - 20 - inner), (x, y - 25 - inner / 2), (x + side * 20, y - 19 - outer)]
    pen.line([(float(a), b) for a, b in brow], 6, hair, 1.2, 0.9)


def _nose(pen: _Pen) -> None:
    skin = pen.face.skin
    pen.line([(-7, -16), (-9, 8), (-14, 24)], 7, _shade(skin, 0.76), 4, 0.7)
    pen.line([(3, -20), (3, 16)], 7, _shade(skin, 1.12), 3.5, 0.7)
    pen.ellipse(0, 26, 13, 8, _shade(skin, 0.9), 3, 0.8)
    for side in (-1, 1):
        pen.ellipse(side * 7, 30, 4.2, 2.6, _shade(skin, 0.42), 1, 0.9)
    pen.ellipse(0, 38, 12, 4, _shade(skin, 0.72), 3, 0.6)


def _mouth(pen: _Pen) -> None:
    face, y = pen.face, 58
    steps = [step / 10 for step in range(-10, 11)]
    half = 31 if face.smile > 0 else 17

    def edge(bend: float, lift: float) -> list[tuple[float, float]]:
        return [(half * s, y + lift - face.smile * s * s + bend * (1 - s * s)) for s in steps]

    upper, lower = edge(-4, 0), edge(face.opened + 5, 0)
    pen.polygon(upper + lower[::-1], (168, 74, 72), 1)
    inner = edge(1, 0)[1:-1] + edge(face.opened, 0)[1:-1][::-1]
    pen.polygon(inner, (72, 22, 26), 0.7)
    if face.smile > 0:
        pen.polygon(edge(1.2, 0)[2:-2] + edge(face.opened * 0.72, 0)[2:-2][::-1], (246, 242, 234), 0.6)
        for side in (-1, 1):
            pen.line([(side * 15, 30), (side * 35, 42), (side * 37, 54)], 3, _shade(face.skin, 0.68), 2.5, 0.7)
    pen.ellipse(0, y + face.opened + 12, 15, 4, _shade(face.skin, 0.72), 3, 0.6)


if __name__ == "__main__":
    main()
