from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trigger_api.media.letterbox import GREY
from trigger_api.media.letterbox import letterbox as put_on_canvas
from trigger_api.runtimes.detection_ops import CANVAS, MAX_DETECTIONS, letterbox, non_max_suppression, scale_to_fit

Array = NDArray[np.float32]


def boxed(pixels: NDArray[np.uint8], side: int) -> Array:
    canvas, size = put_on_canvas(pixels, CANVAS)
    extent = np.array([size], np.float32)
    (made,) = np.asarray(letterbox(canvas[None], extent, side / extent.max(keepdims=True), side), np.float32)
    return np.asarray(made, np.float32)


@pytest.mark.parametrize("shape", [(640, 640), (300, 451), (640, 17), (1, 1), (5, 640)])
def test_letterbox_equals_that_of_an_image_library(shape: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack([200 * rows / shape[0], 200 * columns / shape[1], rows * 0 + 9], axis=2).astype(np.uint8)
    side = 416
    height, width = (int(length * side / max(shape)) for length in shape)
    got = boxed(pixels, side)
    wanted = PIL.Image.fromarray(pixels).resize((width or 1, height or 1), PIL.Image.Resampling.BILINEAR)
    assert np.abs(got[:height, :width] - np.asarray(wanted, np.float32)[:height, :width]).mean() < 3
    assert (got[height + 1 :] == GREY).all()
    assert (got[:, width + 1 :] == GREY).all()


def greedy(boxes: Array, scores: Array, classes: NDArray[np.int64], limits: Array) -> list[int]:
    """Suppression as one would write it down."""
    lowest, overlap, high, wide = limits
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        box = boxes[i]
        if scores[i] < lowest or box[3] - box[1] < high or box[2] - box[0] < wide:
            continue
        if all(classes[j] != classes[i] or iou(boxes[j], box) <= overlap for j in kept):
            kept.append(int(i))
    return kept[:MAX_DETECTIONS]


def iou(first: Array, second: Array) -> float:
    sides = np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0)
    areas = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1])
    common = sides[0] * sides[1]
    return float(common / max(areas - common, 1e-9))


@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.floats(0, 0.3))
@settings(max_examples=25, deadline=None)
@pytest.mark.slow
def test_suppression_is_greedy(seed: int, classes_count: int, overlap: float, lowest: float) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 0.6, (2, 200, 2)), rng.uniform(0.01, 0.4, (2, 200, 2))
    boxes = np.concatenate([corner, corner + size], axis=2).astype(np.float32)
    logits = rng.normal(size=(2, 200, classes_count)).astype(np.float32)
    scores = rng.permutation(400).reshape(2, 200).astype(np.float32) / 400  # no two alike
    limits = np.array([[lowest, overlap, 0.05, 0.02], [0.0, 0.5, 0.0, 0.0]], np.float32)
    found = {name: np.asarray(tensor) for name, tensor in non_max_suppression(boxes, logits, scores, limits).items()}
    for i in range(2):
        classes = logits[i].argmax(axis=1)
        wanted = [j for j in greedy(boxes[i], scores[i], classes, limits[i]) if scores[i, j] > 0]
        count = len(wanted)
        assert (found["boxes"][i, :count] == boxes[i, wanted]).all()
        assert (found["scores"][i, :count] == scores[i, wanted]).all()
        assert (found["classes"][i, :count] == classes[wanted]).all()
        assert (found["scores"][i, count:] == 0).all()


def test_a_chain_of_overlapping_boxes() -> None:
    """The first suppresses the second, which then spares the third, and so on."""
    left = np.arange(100, dtype=np.float32)[:, None] / 200
    boxes = np.concatenate([left, np.zeros_like(left), left + 0.008, np.ones_like(left)], axis=1)[None]
    scores = np.linspace(0.9, 0.1, 100, dtype=np.float32)[None]
    limits = np.array([[0.65, 0.2, 0.0, 0.0]], np.float32)
    found = np.asarray(non_max_suppression(boxes, np.zeros((1, 100, 1), np.float32), scores, limits)["scores"])[0]
    assert (found[:16] == scores[0, :31:2]).all()
    assert (found[16:] == 0).all()


def test_sizes_beyond_the_canvas_are_clipped() -> None:
    """A caller of the tensors themselves may say anything: it must not reach into its neighbour's photo."""
    size = np.array([[-5, 2**31 - 1], [0, 640]], np.int32)
    extent, scale = (np.asarray(tensor) for tensor in scale_to_fit(size, 416))
    assert extent.tolist() == [[1, 640], [1, 640]]
    assert scale == pytest.approx(np.array([[0.65], [0.65]]))
