"""Separates ink from paper: dark on light or light on dark, in uneven light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

from trigger_api.media.image import Pixels
from trigger_api.tasks.digits.mnist import Ink

Grey = NDArray[np.float32]

MAX_SIDE: Final = 1_280  # pixels of the longer side; larger pictures are reduced to it
_COARSE_SIDE = 96
_MAX_STROKE = 0.2  # of the shorter side: a pen is finer than this, and light changes more slowly
_MIN_CONTRAST = 0.06  # of the range from black to white: fainter marks are not ink
_INK_SIGMAS = 4.5  # how many standard deviations of the paper's grain ink stands out
_TRACE_SIGMAS = 2.5
_FULL, _EDGE = 0.75, 0.25  # of the ink level: full ink, and the outer edge of a stroke
_HIGH, _LOW = 0.6, 0.4  # of the ink level: thresholds with hysteresis
_EIGHT_CONNECTED = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Foreground:
    """The foreground of a picture.

    Attributes:
        ink: how much ink each pixel holds.
        traces: every mark, down to those too faint to be ink, such as ruled lines; bool, the same shape.
    """

    ink: Ink
    traces: NDArray[np.bool_]


def binarize(pixels: Pixels) -> Foreground:
    """Find the ink on a picture ``(height, width, 3)``, reduced to ``MAX_SIDE`` pixels; blank paper has none."""
    contrast = _subtract_background(_denoise(_to_grey(pixels)))
    grain = 1.4826 * float(np.median(np.abs(contrast)))
    level = _ink_level(contrast, grain)
    if level == 0:
        return Foreground(np.zeros_like(contrast), np.zeros(contrast.shape, bool))
    ink = ((contrast / np.float32(level) - _EDGE) / (_FULL - _EDGE)).clip(0, 1)
    traces = contrast > max(_MIN_CONTRAST / 2, _TRACE_SIGMAS * grain)
    return Foreground(np.asarray(ink * _stroke_mask(contrast, level), np.float32), traces)


def _to_grey(pixels: Pixels) -> Grey:
    image = PIL.Image.fromarray(pixels).convert("L")
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), PIL.Image.Resampling.BOX)
    return np.asarray(image, np.float32) / np.float32(255)


def _denoise(grey: Grey) -> Grey:
    """Remove the camera's noise; a picture without noise stays as sharp as it is."""
    # Immerkaer's kernel: blind to edges and slopes.
    noise = ndimage.correlate(grey, np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6)
    sigma = float(np.median(np.abs(noise))) / 0.6745
    return ndimage.gaussian_filter(grey, min(40 * sigma, 1.0)) if sigma > 0.008 else grey


def _subtract_background(grey: Grey) -> Grey:
    """The contrast of each pixel with its paper, positive towards the ink."""
    coarse = _reduce(grey)
    paper = _fit_illumination(coarse)
    dark = _is_dark_on_light(coarse - paper)
    contrast = _contrast(grey, _enlarge(paper, grey.shape), dark=dark)
    contrast = contrast - _enlarge(_find_shade(_reduce(contrast)), grey.shape)
    return np.asarray(contrast - np.median(contrast), np.float32)


def _find_shade(coarse: Grey) -> Grey:
    """What is broader than any pen: a shadow, a fold, the edge of a table."""
    size = max(3, round(_MAX_STROKE * min(coarse.shape)))
    return ndimage.gaussian_filter(ndimage.grey_opening(coarse, (size, size), mode="nearest"), 1)


def _reduce(grey: Grey) -> Grey:
    image = PIL.Image.fromarray(grey)
    factor = max(1, -(-max(grey.shape) // _COARSE_SIDE))
    return np.asarray(image.reduce(factor) if factor > 1 else image, np.float32)


def _enlarge(coarse: Grey, shape: tuple[int, ...]) -> Grey:
    image = PIL.Image.fromarray(coarse)
    return np.asarray(image.resize((shape[1], shape[0]), PIL.Image.Resampling.BILINEAR), np.float32)


def _fit_illumination(grey: Grey) -> Grey:
    """The light on the paper: a quadratic surface through the majority of the pixels."""
    rows, columns = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
    terms = np.stack([rows**0, rows, columns, rows * columns, rows**2, columns**2], axis=-1).reshape(-1, 6)
    values = grey.reshape(-1).astype(np.float64)
    weights = np.ones(len(values))
    for _ in range(12):  # least absolute deviations, by iteratively reweighted least squares
        scaled = terms * weights[:, None]
        fit = terms @ np.linalg.lstsq(scaled.T @ terms, scaled.T @ values, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(values - fit), 0.005)
    return np.asarray(fit.reshape(grey.shape), np.float32)


def _is_dark_on_light(difference: Grey) -> bool:
    """Whether the pixels that differ most from the paper are darker than it."""
    low, median, high = np.quantile(difference, [0.03, 0.5, 0.97])
    return bool(median - low >= high - median)


def _contrast(grey: Grey, paper: Grey, *, dark: bool) -> Grey:
    # Dark ink absorbs a share of the light that falls on the paper.
    return (paper - grey) / paper.clip(0.15, None) if dark else grey - paper


def _ink_level(contrast: Grey, grain: float) -> float:
    """The contrast of ink; 0 if there is none."""
    marks = contrast[contrast > max(_MIN_CONTRAST, _INK_SIGMAS * grain)]
    return float(np.quantile(marks, 0.75)) if len(marks) else 0.0


def _stroke_mask(contrast: Grey, level: float) -> NDArray[np.bool_]:
    """Hysteresis: weak pixels that are connected to a strong one, and one pixel around them."""
    labels, _ = ndimage.label(contrast > _LOW * level, _EIGHT_CONNECTED)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[contrast > _HIGH * level]] = True
    kept[0] = False
    return np.asarray(ndimage.binary_dilation(kept[labels], _EIGHT_CONNECTED))
