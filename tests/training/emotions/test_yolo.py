import keras
import numpy as np
import pytest

from trigger_api.training.emotions.yolo import ModelConfig, decode, inference_model

SIDE = 64
SMALL = ModelConfig(widths=(2, 2, 2, 2, 2), blocks=(0, 0, 0, 0, 0))


def test_the_mirror_image_is_detected_at_half_the_size() -> None:
    keras.utils.set_random_seed(0)
    network = inference_model(SMALL, SIDE, most=315)  # every box of both passes
    photo = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    found = {name: np.asarray(table)[0] for name, table in network({"image": photo}).items()}
    grey = photo @ np.array([0.299, 0.587, 0.114], np.float32)
    half = grey[:, :, ::-1].reshape(1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))[..., None]
    boxes, objectness, emotions = (np.asarray(x)[0] for x in decode(network.get_layer("look")(half), SIDE // 2))
    best = int(objectness.argmax())
    left, top, right, bottom = 2 * boxes[best]
    (row,) = np.flatnonzero(np.abs(found["boxes"] - [SIDE - right, top, SIDE - left, bottom]).max(axis=1) < 1e-2)
    assert found["scores"][row] == pytest.approx(objectness[best], abs=1e-5)
    assert found["emotions"][row] == pytest.approx(emotions[best], abs=1e-5)
