"""Negatives, which are on paper and are not digits, and printed digits; all in MNIST's format.

Negatives are letters and symbols of fonts, touching digits, parts of digits, blobs, scribbles, lines and texture. What
a person might take for a digit as well (O, l, S, half an 8) is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.tasks.digits.mnist import Ink, normalise

_SYMBOLS = 'AEFHJKLMNPQRTUVWXYadefhijkmnprtuvwxy@#%&?+=*$€§!;:~^<>{}[]".'
_PAPER = 96  # pixels of a side
_LEFT_HALVES = (0, 2, 3, 5, 6, 8, 9)
_INK, _NARROW = 100, 8
_Draw = Callable[[np.random.Generator], Ink]


def make_negatives(count: int, digits: NDArray[np.uint8], labels: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """Draw negatives ``(n, 28, 28)``; pairs and parts are made of ``digits``."""
    rng = np.random.default_rng(seed)
    pool = np.asarray(digits / 255, np.float32)
    fonts = _fonts()
    # A symbol of a font, touching digits, half a digit, then what nobody writes.
    kinds: list[tuple[_Draw, float]] = [
        (partial(_symbol, fonts, _SYMBOLS), 0.34),
        (partial(_pair, pool), 0.24),
        (partial(_half, pool, labels), 0.10),
        (_scribble, 0.10),
        (_blob, 0.10),
        (_lines, 0.08),
        (_texture, 0.04),
    ]
    draws, shares = zip(*kinds, strict=True)
    made: list[NDArray[np.uint8]] = []
    while len(made) < count:
        shaped = _to_mnist(draws[rng.choice(len(draws), p=shares)](rng))
        # A narrow upright stroke would be a one.
        if np.count_nonzero(shaped.max(axis=0) > _INK) >= _NARROW:
            made.append(shaped)
    return np.stack(made)


def synthetic_printed_digits(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw printed digits ``(n, 28, 28)``; returns their labels as well."""
    rng = np.random.default_rng(seed)
    fonts = _fonts()
    labels = rng.integers(0, 10, count)
    return np.stack([_to_mnist(_symbol(fonts, str(label), rng)) for label in labels]), labels


def _to_mnist(ink: Ink) -> NDArray[np.uint8]:
    return np.asarray(255 * normalise(ink), np.uint8)


def _fonts() -> list[Path]:
    """The text fonts that come with matplotlib."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    names = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10", "cmss10", "cmb10", "cmtt10")
    found = sorted(path for path in folder.glob("*.ttf") if path.stem.split("-")[0].startswith(names))
    return [path for path in found if "Display" not in path.stem]


@lru_cache
def _font(path: Path) -> PIL.ImageFont.FreeTypeFont:
    return PIL.ImageFont.truetype(path, 64)


def _symbol(fonts: list[Path], symbols: str, rng: np.random.Generator) -> Ink:
    font = _font(fonts[rng.integers(len(fonts))])
    image, draw = _paper()
    draw.text((_PAPER / 2, _PAPER / 2), symbols[rng.integers(len(symbols))], 255, font, anchor="mm")
    ink = _rotate(_array(image), rng.uniform(-12, 12))
    return np.asarray(ndimage.grey_dilation(ink, (3, 3)) if rng.random() < 0.3 else ink, np.float32)


def _pair(pool: Ink, rng: np.random.Generator) -> Ink:
    """Two digits, sometimes three, that touch or almost touch."""
    parts = [_resize(pool[rng.integers(len(pool))], rng.uniform(0.8, 1.2)) for _ in range(rng.choice([2, 2, 3]))]
    paper = np.zeros((64, 160), np.float32)
    right = 4
    for part in parts:
        top = int(rng.integers(10, 20))
        left = max(right - int(rng.integers(-1, 4)), 0)
        field = paper[top : top + part.shape[0], left : left + part.shape[1]]
        np.maximum(field, part[: field.shape[0], : field.shape[1]], out=field)
        right = left + part.shape[1]
    return paper


def _half(pool: Ink, labels: NDArray[np.int64], rng: np.random.Generator) -> Ink:
    """The left half of a digit, or either half of a zero."""
    label = int(rng.choice(_LEFT_HALVES))
    rows = np.flatnonzero(labels == label)
    ink = _crop(pool[rows[rng.integers(len(rows))]])
    cut = round(ink.shape[1] * rng.uniform(0.38, 0.52))
    return ink[:, cut:] if label == 0 and rng.random() < 0.5 else ink[:, :cut]


def _scribble(rng: np.random.Generator) -> Ink:
    """A long random line."""
    image, draw = _paper()
    knots = rng.uniform(8, _PAPER - 8, (int(rng.integers(6, 14)), 2))
    curve = ndimage.zoom(knots, (12, 1), order=3)
    draw.line([tuple(point) for point in curve.tolist()], 255, int(rng.integers(3, 10)), "curve")
    return _array(image)


def _blob(rng: np.random.Generator) -> Ink:
    """A filled shape: spots, an ellipse, a bar, a triangle."""
    image, draw = _paper()
    kind = rng.integers(4)
    if kind == 0:
        return _spots(rng, rng.uniform(5, 14))
    left, right = sorted(rng.uniform(10, _PAPER - 10, 2))
    top, bottom = sorted(rng.uniform(10, _PAPER - 10, 2))
    if kind == 1:
        draw.ellipse((left, top, right + 12, bottom + 12), 255)
    elif kind == 2:
        draw.rectangle((5, top, _PAPER - 5, bottom + 12), 255)
    else:
        draw.polygon([tuple(point) for point in rng.uniform(0, _PAPER, (3, 2)).tolist()], 255)
    return _rotate(_array(image), rng.uniform(-30, 30))


def _lines(rng: np.random.Generator) -> Ink:
    """Lines, crosses, grids; never a single upright line, which would be a one."""
    image, draw = _paper()
    pen = int(rng.integers(3, 12))
    across, up = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (2, 2), (0, 3), (3, 3), (1, 2)][rng.integers(9)]
    for position in np.linspace(15, _PAPER - 15, across + 2)[1:-1] if across > 1 else rng.uniform(15, 80, across):
        draw.line((4, position, _PAPER - 4, position + rng.uniform(-6, 6)), 255, pen)
    for position in np.linspace(15, _PAPER - 15, up + 2)[1:-1] if up > 1 else rng.uniform(15, 80, up):
        draw.line((position, 4, position + rng.uniform(-6, 6), _PAPER - 4), 255, pen)
    return _rotate(_array(image), rng.uniform(-20, 20))


def _texture(rng: np.random.Generator) -> Ink:
    """Many small spots, like noise that was binarised."""
    return _spots(rng, rng.uniform(1.5, 5))


def _spots(rng: np.random.Generator, size: float) -> Ink:
    grain = ndimage.zoom(rng.normal(size=[max(3, round(_PAPER / size))] * 2), 1 + size / 2, order=1)
    return np.asarray(grain > np.quantile(grain, rng.uniform(0.5, 0.9)), np.float32)


def _paper() -> tuple[PIL.Image.Image, PIL.ImageDraw.ImageDraw]:
    image = PIL.Image.new("L", (_PAPER, _PAPER))
    return image, PIL.ImageDraw.Draw(image)


def _array(image: PIL.Image.Image) -> Ink:
    return np.asarray(np.asarray(image) / 255, np.float32)


def _rotate(ink: Ink, degrees: float) -> Ink:
    turned = PIL.Image.fromarray(ink).rotate(degrees, PIL.Image.Resampling.BILINEAR, expand=True)
    return np.asarray(turned, np.float32)


def _resize(ink: Ink, scale: float) -> Ink:
    tight = _crop(ink)
    size = max(1, round(tight.shape[1] * scale)), max(1, round(tight.shape[0] * scale))
    return np.asarray(PIL.Image.fromarray(tight).resize(size), np.float32)


def _crop(ink: Ink) -> Ink:
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.2), np.flatnonzero(ink.max(axis=0) > 0.2)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
