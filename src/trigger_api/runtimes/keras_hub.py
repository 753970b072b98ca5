"""Imports object detectors of KerasHub: folders written by ``ObjectDetector.save_to_preset``.

Nothing is downloaded. The configuration may only name classes of Keras and KerasHub; the weights are arrays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trigger_api.model_card import Limits, ModelCard, TensorSpec
from trigger_api.runtimes.coco_labels import labels
from trigger_api.runtimes.detection_ops import CANVAS, MAX_DETECTIONS, letterbox, non_max_suppression, scale_to_fit

if TYPE_CHECKING:
    import keras

TASK_FILE = "task.json"
_TRUSTED = ("keras", "keras_hub")


def is_preset(path: Path) -> bool:
    """Whether a folder is a KerasHub preset."""
    return (path / TASK_FILE).is_file()


def card(path: Path) -> ModelCard:
    """The card of a preset; the model is named after the folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not an object detector, or it names code outside Keras and KerasHub.
    """
    config = _read_config(path)
    classes = int(config["config"]["num_classes"])
    return ModelCard(
        task="objects",
        name=re.sub(r"[^a-z0-9._-]+", "-", path.resolve().name.lower()).strip("-._")[:64] or "preset",
        version="1",
        description=f"{config['class_name']}, made with KerasHub",
        labels=labels(classes),
        inputs=(
            TensorSpec(name="photo", shape=(CANVAS, CANVAS, 3), dtype="uint8"),
            TensorSpec(name="size", shape=(2,), dtype="int32"),
            TensorSpec(name="limits", shape=(4,)),
        ),
        outputs=(
            TensorSpec(name="boxes", shape=(MAX_DETECTIONS, 4)),
            TensorSpec(name="scores", shape=(MAX_DETECTIONS,)),
            TensorSpec(name="classes", shape=(MAX_DETECTIONS,), dtype="int32"),
        ),
        limits=Limits(batch_sizes=(1, 2, 4)),
    )


def load(path: Path) -> keras.Model:
    """The detector of a preset, with the letterbox before it and non-maximum suppression after it.

    Raises:
        OSError: it cannot be read.
        ValueError: see ``card``; or KerasHub is not installed.
    """
    _read_config(path)
    try:
        import keras_hub
    except ImportError:
        raise ValueError("it needs KerasHub: install trigger-api[hub]") from None
    # An absolute path: KerasHub takes anything else for the name of something to download.
    return _wrap(keras_hub.models.ObjectDetector.from_preset(str(path.resolve(strict=True))))


def _wrap(detector: Any) -> keras.Model:
    from keras import Model, layers, ops

    class Detector(layers.Layer):  # type: ignore[misc]  # Keras has no types
        """A layer, because KerasHub decodes boxes from intermediate arrays."""

        def __init__(self) -> None:
            super().__init__()
            self._detector = detector

        def call(self, photo: Any, size: Any, limits: Any) -> dict[str, Any]:
            extent, scale = scale_to_fit(size, side)
            images = detector.preprocessor(letterbox(photo, extent, scale, side))
            decoded = detector.decode_predictions(detector(images, training=False), images)
            boxes = _to_fractions(decoded["boxes"], detector, images) * side / _edges(extent * scale)
            scores = decoded["scores"]
            return non_max_suppression(ops.clip(boxes, 0.0, 1.0), scores, ops.max(scores, axis=2), limits)

    side = max(detector.preprocessor.image_converter.image_size or (CANVAS,))
    detector.prediction_decoder = _KeepAll(detector.prediction_decoder)
    photo = layers.Input((CANVAS, CANVAS, 3), dtype="uint8", name="photo")
    size = layers.Input((2,), dtype="int32", name="size")
    limits = layers.Input((4,), name="limits")
    return Model([photo, size, limits], Detector()(photo, size, limits))


class _KeepAll:
    """Replaces KerasHub's own suppression, whose limits are fixed: keeps every box and every score."""

    def __init__(self, original: Any) -> None:
        self.bounding_box_format = original.bounding_box_format
        self._from_logits = original.from_logits

    def __call__(self, boxes: Any, scores: Any, images: Any = None) -> dict[str, Any]:
        from keras import ops

        return {"boxes": boxes, "scores": ops.sigmoid(scores) if self._from_logits else scores}


def _to_fractions(boxes: Any, detector: Any, images: Any) -> Any:
    from keras import utils

    height, width = images.shape[1:3]
    kind = detector.bounding_box_format
    return utils.bounding_boxes.convert_format(boxes, source=kind, target="rel_xyxy", height=height, width=width)


def _edges(extent: Any) -> Any:
    """Heights and widths ``(batch, 2)`` as divisors of boxes, ``(batch, 1, 4)``."""
    from keras import ops

    return ops.concatenate([extent[:, 1:], extent[:, :1]] * 2, axis=1)[:, None]


def _read_config(path: Path) -> dict[str, Any]:
    configs = {file.name: json.loads(file.read_bytes()) for file in sorted(path.glob("*.json"))}
    foreign = {module for module in _modules(configs) if module.partition(".")[0] not in _TRUSTED}
    if foreign:
        raise ValueError(f"it names code outside Keras and KerasHub: {', '.join(sorted(foreign))}")
    task: dict[str, Any] = configs[TASK_FILE]
    if not str(task.get("class_name")).endswith("ObjectDetector") or "num_classes" not in task.get("config", {}):
        raise ValueError("it is not an object detector of KerasHub")
    return task


def _modules(config: Any) -> Iterator[str]:
    """Every module that a configuration names."""
    if isinstance(config, dict):
        if config.get("module"):
            yield str(config["module"])
        for part in config.values():
            yield from _modules(part)
    elif isinstance(config, list):
        for part in config:
            yield from _modules(part)
