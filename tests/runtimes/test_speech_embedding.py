from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trigger_api.runtimes.speech_embedding import BANDS, EMBEDDING, SILENT, Convolution, build, read_layers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PUBLISHED = Path(__file__).parents[3] / "shared/data/speech-embedding/embedding_model.onnx"
CHANNELS = [24] * 3 + [48] * 4 + [72] * 4 + [96] * 9
POOLS = {2: (2, 2), 6: (1, 2), 10: (2, 2), 14: (1, 2), 18: (2, 2)}


def layers(seed: int = 0) -> list[Convolution]:
    """The architecture of the published network with small weights of its own: no third party's file is needed."""
    rng, made, before = np.random.default_rng(seed), [], 1
    for number, channels in enumerate(CHANNELS):
        size = (3, 3) if number == 0 else (3, 1) if number % 2 == 0 or number == 19 else (1, 3)
        kernel = rng.normal(0, 1 / np.sqrt(size[0] * size[1] * before), (*size, before, channels)).astype(np.float32)
        scale = (np.full(channels, 0.7, np.float32), np.full(channels, -0.1, np.float32)) if number == 0 else None
        made.append(Convolution(kernel, np.full(channels, 0.01, np.float32), scale, POOLS.get(number, (1, 1))))
        before = channels
    return made


@pytest.fixture(scope="module")
def model() -> Any:
    return build(layers())


def run(model: Any, mel: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    answer = model({"mel": mel[None], "state": state})
    return np.asarray(answer["embeddings"])[0], np.asarray(answer["state"])


def silence(model: Any) -> np.ndarray:
    return np.zeros((1, model.input["state"].shape[1]), np.float32)


def test_a_stream_gives_the_same_as_a_whole_clip(model: Any) -> None:
    mel = np.random.default_rng(1).normal(0, 2, (160, BANDS)).astype(np.float32)
    whole, _ = run(model, mel, silence(model))
    assert whole.shape == (20, EMBEDDING)
    state, parts = silence(model), []
    for start in range(0, 160, 8):
        part, state = run(model, mel[start : start + 8], state)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-4, atol=1e-4)


def test_zeros_are_the_state_after_silence(model: Any) -> None:
    mel = np.random.default_rng(2).normal(0, 2, (80, BANDS)).astype(np.float32)
    quiet = np.full((160, BANDS), SILENT, np.float32)
    late, _ = run(model, np.concatenate([quiet, mel]), silence(model))
    np.testing.assert_allclose(late[20:], run(model, mel, silence(model))[0], rtol=1e-4, atol=1e-4)
    _, state = run(model, quiet, silence(model))
    np.testing.assert_allclose(state, 0, atol=1e-4)


def test_an_embedding_depends_on_76_frames(model: Any) -> None:
    mel = np.random.default_rng(3).normal(0, 2, (160, BANDS)).astype(np.float32)
    other = mel.copy()
    other[: 160 - 76] += 1
    changed = np.abs(run(model, mel, silence(model))[0] - run(model, other, silence(model))[0]).max(axis=1)
    assert changed[-1] < 1e-6 < changed[-2]


def published(path: Path, made: list[Convolution]) -> None:
    """The layers as an ONNX file of the published kind."""
    nodes, tensors, last = [], [], "mel"
    for number, layer in enumerate(made):
        arrays = {"kernel": layer.kernel.transpose(3, 2, 0, 1), "bias": layer.bias}
        names = [f"{name}{number}" for name in arrays]
        tensors += [
            numpy_helper.from_array(np.ascontiguousarray(a), n) for a, n in zip(arrays.values(), names, strict=True)
        ]
        nodes.append(helper.make_node("Conv", [last, *names], [f"conv{number}"]))
        last = f"conv{number}"
        if layer.pool != (1, 1):
            nodes.append(helper.make_node("MaxPool", [last], [f"pool{number}"], kernel_shape=layer.pool))
            last = f"pool{number}"
    inputs = [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["batch", 1, "frames", BANDS])]
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "embedding", inputs, outputs, tensors)), path)


def test_the_published_file_can_be_read(tmp_path: Path) -> None:
    made = layers()
    published(tmp_path / "embedding.onnx", made)
    for one, other in zip(made, read_layers(tmp_path / "embedding.onnx"), strict=True):
        np.testing.assert_array_equal(one.kernel, other.kernel)
        np.testing.assert_array_equal(one.bias, other.bias)
        assert tuple(other.pool) == one.pool


@pytest.mark.data
@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published file is not here")
def test_it_equals_the_published_file() -> None:
    import onnxruntime

    from trigger_api.datasets.speech import read as read_audio
    from trigger_api.model_card import MelFrontEnd
    from trigger_api.tasks.trigger.mel import Mel

    file = onnxruntime.InferenceSession(PUBLISHED, providers=["CPUExecutionProvider"])
    model = build(read_layers(PUBLISHED))
    mel = Mel(MelFrontEnd()).features(read_audio(Path(__file__).parents[2] / "samples/activate.wav"))
    windows = np.stack([mel[end - 76 : end] for end in range(80, len(mel) + 1, 8)])[..., None]
    expected = file.run(None, {"input_1": windows})[0][:, 0, 0]
    np.testing.assert_allclose(run(model, mel, silence(model))[0][9:], expected, rtol=1e-5, atol=1e-4)


def test_another_network_is_rejected(tmp_path: Path) -> None:
    published(tmp_path / "other.onnx", layers()[:5])
    with pytest.raises(ValueError, match="not the speech embedding"):
        read_layers(tmp_path / "other.onnx")
