"""A folder as KerasHub writes it, of a small detector with random weights."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import skimage.data

from trigger_api.observability.metrics import Metrics
from trigger_api.registry import State
from trigger_api.repository import discover
from trigger_api.runtimes import LoadOptions, digest, keras_hub, load
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.objects.task import DetectionOptions, Objects, preprocess

SIDE = 128


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras
    from keras_hub import layers, models

    keras.utils.set_random_seed(0)
    encoder = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )
    backbone = models.RetinaNetBackbone(encoder, min_level=3, max_level=4, use_p5=False, image_shape=(SIDE, SIDE, 3))
    converter = layers.RetinaNetImageConverter(image_size=(SIDE, SIDE), scale=1 / 255, crop_to_aspect_ratio=False)
    detector = models.RetinaNetObjectDetector(
        backbone,
        num_classes=3,
        pre_logits_num_conv_layers=1,
        preprocessor=models.RetinaNetObjectDetectorPreprocessor(image_converter=converter),
    )
    for weight in (*detector.box_head.weights, *detector.classification_head.weights):
        weight.assign(weight * 0.1)  # boxes near the anchors, scores of no great certainty
    folder = tmp_path_factory.mktemp("models") / "Small Detector"
    detector.save_to_preset(str(folder))
    return folder


def cat() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(skimage.data.chelsea()).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        pytest.fail("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def seen(preset: Path, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What KerasHub itself finds: left, top, right, bottom in fractions, class, score."""
    from keras_hub import models

    detector = models.ObjectDetector.from_preset(str(preset))
    detector.prediction_decoder.confidence_threshold = 0.0
    inputs = detector.preprocessor(pixels[None].astype("float32"))
    found = {
        name: np.asarray(tensor)[0] for name, tensor in detector.decode_predictions(detector(inputs), inputs).items()
    }
    boxes = (found["boxes"][:, [1, 0, 3, 2]] / SIDE).clip(0, 1)
    return np.column_stack([boxes, found["labels"], found["confidence"]])


@pytest.mark.usefixtures("_no_network")
@pytest.mark.slow
def test_it_detects_the_same_as_kerashub(preset: Path) -> None:
    pixels = skimage.data.astronaut()[:SIDE, :SIDE]
    card = keras_hub.card(preset)
    runner = load(preset, card, LoadOptions()).compile(card.inputs, 1)
    item = preprocess(
        pixels, card, DetectionOptions(score_threshold=0.0, iou_threshold=1.0, min_height=0.0, min_width=0.0)
    ).item
    found = {name: tensor[0] for name, tensor in runner({name: x[None] for name, x in item.items()}).items()}
    ours = np.column_stack([found["boxes"], found["classes"], found["scores"]])
    theirs = seen(preset, pixels)[:20]
    assert len({tuple(row) for row in theirs[:, :4].round(3)}) > 5
    for row in theirs:
        assert np.abs(ours - row).max(axis=1).min() < 1e-3
    assert (np.diff(found["scores"]) <= 0).all()


@pytest.mark.usefixtures("_no_network")
@pytest.mark.slow
async def test_a_preset_is_served_from_its_folder(preset: Path) -> None:
    service = Service(Settings(models=preset, bundled=False, max_batch=1, memory_mib=200), Metrics())
    try:
        (entry,) = service.registry.versions
        assert entry.size > 1e6
        service.registry.load(entry)
        assert (entry.state, entry.reason) == (State.READY, "")
        result = await service.task(Objects).predict(
            cat(), DetectionOptions(score_threshold=0.01, min_height=0.0, min_width=0.0)
        )
        assert (result.model, result.width, result.height) == ("small-detector", 451, 300)
        assert {found.label for found in result.objects} <= {"0", "1", "2"}
        assert result.objects
    finally:
        await service.close()


def test_the_card_of_a_preset(preset: Path) -> None:
    (entry,) = discover(preset.parent)
    assert entry.key == ("objects", "small-detector", "1")
    assert "RetinaNetObjectDetector" in entry.card.description
    assert digest(preset) != digest(preset / "model.weights.h5")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"class_name": "TextClassifier"}, "not an object detector"),
        ({"module": "os", "class_name": "system"}, "outside Keras and KerasHub: os"),
        ({"config": {}}, "not an object detector"),
    ],
)
def test_other_folders_are_rejected(tmp_path: Path, change: dict[str, object], text: str) -> None:
    task = {"module": "keras_hub.src", "class_name": "RetinaNetObjectDetector", "config": {"num_classes": 3}, **change}
    (tmp_path / keras_hub.TASK_FILE).write_text(json.dumps(task))
    with pytest.raises(ValueError, match=text):
        discover(tmp_path)
