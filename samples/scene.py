"""Draws the sample of the page of objects, with nothing but the packages of the service.

python samples/scene.py
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

TARGET = Path(__file__).parents[1] / "src/trigger_api/web/static/samples/scene.jpg"
WIDTH, HEIGHT, GROUND = 640, 400, 270  # pixels; where the road begins


def main() -> None:
    """Draw it."""
    rows = np.arange(HEIGHT)[:, None]
    sky = np.concatenate([140 + 60 * rows // HEIGHT, 185 + 40 * rows // HEIGHT, 235 + 0 * rows], 1)
    rows_of_colour = np.where(rows < GROUND, sky, (90, 96, 100)).astype(np.uint8)
    image = Image.fromarray(np.repeat(rows_of_colour[:, None], WIDTH, 1))
    draw = ImageDraw.Draw(image)
    for part in (_trees, _road, _stop_sign, _clock, _traffic_light):
        part(draw)
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), np.float64)
    noisy = blurred + np.random.default_rng(0).normal(0, 4, blurred.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(TARGET, quality=85)


def _trees(draw: ImageDraw.ImageDraw) -> None:
    for x in range(0, WIDTH, 8):
        height = 40 + int(18 * math.sin(x / 37) + 12 * math.sin(x / 13))
        draw.ellipse([x - 20, GROUND - height, x + 30, GROUND + 5], fill=(52, 100 + x % 5 * 5, 50))
    draw.rectangle([0, GROUND - 2, WIDTH, GROUND + 15], fill=(120, 140, 90))


def _road(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon([(280, 400), (320, 285), (340, 285), (480, 400)], fill=(70, 72, 76))


def _stop_sign(draw: ImageDraw.ImageDraw) -> None:
    x, y = 150, 130
    draw.rectangle([x - 5, y, x + 5, 330], fill=(130, 130, 135))
    for radius, colour in ((72, (245, 245, 245)), (67, (190, 20, 30))):
        angles = [math.pi / 8 + k * math.pi / 4 for k in range(8)]
        draw.polygon([(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles], fill=colour)
    draw.text((x, y), "STOP", (250, 250, 250), ImageFont.load_default(44), anchor="mm")


def _clock(draw: ImageDraw.ImageDraw) -> None:
    x, y = 480, 120
    draw.rectangle([x - 6, y, x + 6, 320], fill=(50, 50, 55))
    for radius, colour in ((62, (30, 30, 35)), (55, (248, 247, 240))):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    for hour in range(1, 13):
        place = (x + 44 * math.sin(hour * math.pi / 6), y - 44 * math.cos(hour * math.pi / 6))
        draw.text(place, str(hour), (20, 20, 20), ImageFont.load_default(14), anchor="mm")
    draw.line([x, y, x + 24, y - 14], fill=(10, 10, 10), width=5)
    draw.line([x, y, x - 12, y - 38], fill=(10, 10, 10), width=4)


def _traffic_light(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle([330, 190, 340, 300], fill=(40, 40, 40))
    draw.rounded_rectangle([312, 90, 358, 210], 8, fill=(25, 28, 26))
    for k, colour in enumerate(((230, 40, 30), (70, 60, 20), (20, 70, 40))):
        draw.ellipse([322, 98 + 37 * k, 348, 124 + 37 * k], fill=colour)


if __name__ == "__main__":
    main()
