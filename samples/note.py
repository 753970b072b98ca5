"""Writes note.jpg: three lines of digits, each a pen's way through points placed by hand, no two quite alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

LINES = ("1948", "2650", "37")
SIZE, PEN, FINE = 70, 6, 3  # pixels of a digit's height and of the pen; drawn three times as large

# Strokes of each digit in a square of 1; a stroke turns smoothly.
STROKES = {
    "0": ["50,0 15,25 12,70 45,100 78,75 80,25 52,0"],
    "1": ["52,0 50,35 48,70 46,100"],
    "2": ["15,25 35,2 68,8 70,35 45,65 12,97", "12,97 40,95 80,98"],
    "3": ["15,10 45,0 72,15 65,38 38,47", "38,47 70,55 75,80 50,100 12,92"],
    "4": ["30,0 22,30 12,60", "12,60 45,60 85,57", "64,20 62,60 58,100"],
    "5": ["75,2 50,3 25,4", "25,4 22,25 20,42", "20,42 50,37 76,58 68,90 38,100 12,90"],
    "6": ["65,0 35,25 17,65 30,97 60,96 72,72 50,55 20,72"],
    "7": ["12,5 45,4 80,2", "80,2 60,35 46,68 38,100"],
    "8": ["70,15 45,0 22,20 45,45 72,70 52,98 22,82 40,52 68,28 70,15"],
    "9": ["72,20 45,2 20,25 38,50 68,40 74,18", "74,18 72,50 66,100"],
}


def way(stroke: str, hand: np.random.Generator) -> NDArray[np.float64]:
    """The pen's way: a smooth curve, near the points."""
    points = np.array([point.split(",") for point in stroke.split()], float) / 100
    times = np.linspace(0, 1, len(points))
    curve = make_interp_spline(times, points + hand.normal(0, 0.012, points.shape), k=min(3, len(points) - 1))
    return np.asarray(curve(np.linspace(0, 1, 80)))


def write(lines: tuple[str, ...], hand: np.random.Generator) -> PIL.Image.Image:
    """The lines on paper."""
    width = max(map(len, lines)) * 80 + 80
    paper = PIL.Image.new("L", (width * FINE, (len(lines) * 110 + 60) * FINE), 232)
    draw = PIL.ImageDraw.Draw(paper)
    for row, line in enumerate(lines):
        for column, digit in enumerate(line):
            corner = np.array([45 + 80 * column, 45 + 110 * row]) + hand.normal(0, 2.5, 2)
            lean = hand.normal(-0.06, 0.04)
            for stroke in STROKES[digit]:
                x, y = way(stroke, hand).T
                for point in (corner + SIZE * np.stack([0.75 * x + lean * y, y], axis=1)) * FINE:
                    draw.circle(tuple(point), PEN * FINE / 2, 50)
    return paper.resize((paper.width // FINE, paper.height // FINE), PIL.Image.Resampling.LANCZOS)


if __name__ == "__main__":
    write(LINES, np.random.default_rng(0)).save(Path(__file__).with_name("note.jpg"), quality=85)
