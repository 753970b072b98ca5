"""Ink on paper: how much each pixel of a picture holds, in uneven light, dark on light or light on dark."""

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

WORK_SIDE: Final = 1_280  # pixels of the longer side; what is larger is read as if from farther away
_COARSE_SIDE = 96
_BROADEST = 0.2  # of the shorter side: a pen is finer, light changes more slowly
_LEAST = 0.06  # of the range from black to white: a fainter trace is no ink
_GRAINS = 4.5  # ink stands out of the paper's own grain by so many of its standard deviations
_TRACE_GRAINS = 2.5
_FULL, _EDGE = 0.75, 0.25  # of the ink's level: full ink, and the outer edge of a stroke
_STRONG, _WEAK = 0.6, 0.4  # of the ink's level: a stroke reaches the one somewhere, and the other everywhere
_TOUCHING = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Sheet:
    """What is on a picture: its ink, and every trace (bool) down to what is too faint to be ink, such as a rule."""

    ink: Ink
    traces: NDArray[np.bool_]


def find_ink(pixels: Pixels) -> Sheet:
    """The ink on a picture ``(height, width, 3)``, at most ``WORK_SIDE`` long; all 0 if there is none."""
    grey = _working_size(pixels)
    raised = _flattened(_smoothed(grey))
    grain = 1.4826 * float(np.median(np.abs(raised)))
    level = _level(raised, grain)
    if level == 0:
        return Sheet(np.zeros_like(raised), np.zeros(raised.shape, bool))
    ink = ((raised / np.float32(level) - _EDGE) / (_FULL - _EDGE)).clip(0, 1)
    traces = raised > max(_LEAST / 2, _TRACE_GRAINS * grain)
    return Sheet(np.asarray(ink * _strokes(raised, level), np.float32), traces)


def _working_size(pixels: Pixels) -> Grey:
    image = PIL.Image.fromarray(pixels).convert("L")
    if max(image.size) > WORK_SIDE:
        image.thumbnail((WORK_SIDE, WORK_SIDE), PIL.Image.Resampling.BOX)
    return np.asarray(image, np.float32) / np.float32(255)


def _smoothed(grey: Grey) -> Grey:
    """Without the camera's noise; a picture without any stays as sharp as it is."""
    # Immerkaer's kernel: blind to edges and slopes.
    noise = ndimage.correlate(grey, np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6)
    sigma = float(np.median(np.abs(noise))) / 0.6745
    return ndimage.gaussian_filter(grey, min(40 * sigma, 1.0)) if sigma > 0.008 else grey


def _flattened(grey: Grey) -> Grey:
    """How far each pixel is from its paper, towards the ink; paper is around 0."""
    coarse = _reduced(grey)
    paper = _plane(coarse)
    dark = _is_dark_ink(coarse - paper)
    raised = _relief(grey, _enlarged(paper, grey.shape), dark=dark)
    coarse = _reduced(raised)
    size = max(3, round(_BROADEST * min(coarse.shape)))
    # Of what is as broad as no pen is, all is paper: a shadow, a fold, the edge of a table.
    shade = ndimage.grey_opening(coarse, (size, size), mode="nearest")
    raised = raised - _enlarged(ndimage.gaussian_filter(shade, 1), grey.shape)
    return np.asarray(raised - np.median(raised), np.float32)


def _reduced(grey: Grey) -> Grey:
    image = PIL.Image.fromarray(grey)
    factor = max(1, -(-max(grey.shape) // _COARSE_SIDE))
    return np.asarray(image.reduce(factor) if factor > 1 else image, np.float32)


def _enlarged(coarse: Grey, shape: tuple[int, ...]) -> Grey:
    image = PIL.Image.fromarray(coarse)
    return np.asarray(image.resize((shape[1], shape[0]), PIL.Image.Resampling.BILINEAR), np.float32)


def _plane(grey: Grey) -> Grey:
    """The light on the paper, as a quadratic in both directions that half of the pixels agree on."""
    rows, columns = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
    terms = np.stack([rows**0, rows, columns, rows * columns, rows**2, columns**2], axis=-1).reshape(-1, 6)
    values = grey.reshape(-1).astype(np.float64)
    weights = np.ones(len(values))
    for _ in range(12):  # least absolute deviations, by least squares
        scaled = terms * weights[:, None]
        fit = terms @ np.linalg.lstsq(scaled.T @ terms, scaled.T @ values, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(values - fit), 0.005)
    return np.asarray(fit.reshape(grey.shape), np.float32)


def _is_dark_ink(difference: Grey) -> bool:
    """Whether what differs most from the paper is darker than it."""
    low, middle, high = np.quantile(difference, [0.03, 0.5, 0.97])
    return bool(middle - low >= high - middle)


def _relief(grey: Grey, paper: Grey, *, dark: bool) -> Grey:
    # Dark ink takes a share of the light that falls on the paper.
    return (paper - grey) / paper.clip(0.15, None) if dark else grey - paper


def _level(raised: Grey, grain: float) -> float:
    """How far ink stands out; 0 if nothing does."""
    traces = raised[raised > max(_LEAST, _GRAINS * grain)]
    return float(np.quantile(traces, 0.75)) if len(traces) else 0.0


def _strokes(raised: Grey, level: float) -> NDArray[np.bool_]:
    """The pixels of what is ink somewhere, and one pixel around."""
    weak = raised > _WEAK * level
    labels, _ = ndimage.label(weak, _TOUCHING)
    kept = np.zeros(int(labels.max()) + 1, bool)
    kept[labels[raised > _STRONG * level]] = True
    kept[0] = False
    return np.asarray(ndimage.binary_dilation(kept[labels], _TOUCHING))
