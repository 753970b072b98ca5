from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

from helpers import wake_words
from helpers.wake_words import EMBEDDING, FRAMES, Floats, node
from trigger_api.model_card import Decision, MelFrontEnd, TensorSpec, read_card
from trigger_api.registry import BUNDLED
from trigger_api.runtimes import LoadOptions, keras_loader, load, openwakeword, servable
from trigger_api.runtimes.openwakeword_graphs import NOTE_KEY
from trigger_api.tasks.trigger.mel import Mel

PUBLISHED = Path(__file__).parents[3] / "shared/data/speech-embedding"
RECORDINGS = sorted((PUBLISHED.parent / "wake-words/jarvis").glob("*.ogg"))[:8]


def scored(path: Path, embeddings: Floats) -> Floats:
    """Scores ``[batch, T - 15]`` as the file is served."""
    network = openwakeword.load(path, threads=1)
    specs = [TensorSpec(name="embeddings", shape=embeddings.shape[1:])]
    return np.asarray(network.compile(specs, len(embeddings))({"embeddings": embeddings})["scores"])


def wanted(embeddings: Floats) -> Floats:
    windows = sliding_window_view(embeddings, FRAMES, axis=1).swapaxes(2, 3)
    return np.stack([wake_words.scores(each) for each in windows])


@pytest.fixture(scope="module")
def lite() -> dict[bool, bytes]:
    """TensorFlow Lite files, by whether they take a single window only."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("ai_edge_litert")
    return {one: wake_words.tflite(one_window=one) for one in (False, True)}


class TestNames:
    @pytest.mark.parametrize(
        ("stem", "name", "word", "version"),
        [
            ("alexa_v0.1", "alexa", "alexa", "1"),
            ("hey_jarvis_v0.1", "hey_jarvis", "hey jarvis", "1"),
            ("jarvis_v2", "jarvis", "jarvis", "2"),
            ("ok_nabu_v1.0", "ok_nabu", "ok nabu", "10"),
            ("Hey_Friday!", "hey_friday", "hey friday!", "1"),
            ("Mr._Anderson", "mr._anderson", "mr. anderson", "1"),
            ("do you read me  hal", "do-you-read-me-hal", "do you read me hal", "1"),
            ("tv", "tv", "tv", "1"),
            ("小爱", "word", "小爱", "1"),
            ("_", "word", "word", "1"),
            ("x" * 99, "x" * 64, "x" * 99, "1"),
        ],
    )
    def test_a_file_name_gives_model_word_and_version(self, stem: str, name: str, word: str, version: str) -> None:
        assert openwakeword.parse_name(stem) == (name, word, version)

    def test_the_card_is_that_of_a_head_on_the_shared_backbone(self, tmp_path: Path) -> None:
        card = openwakeword.card(wake_words.write(tmp_path / "hey_jarvis_v0.1.onnx"))
        assert (card.task, card.name, card.version, card.labels) == ("trigger", "hey_jarvis", "1", ("hey jarvis",))
        assert card.backbone == read_card(BUNDLED / "embedding/speech-embedding/1").name
        assert (card.context, card.frame_ms, card.sequence_lengths[0]) == (15, 80, 16)
        assert card.decision == Decision(threshold=0.5)
        assert card.parameters == pytest.approx(FRAMES * EMBEDDING * wake_words.WIDTH, rel=0.01)

    def test_the_context_follows_the_number_of_embeddings(self, tmp_path: Path) -> None:
        mean = [node("ReduceMean", "x", "m", axes=[1, 2], keepdims=0), node("Sigmoid", "m", "s")]
        shape = {"shape": np.array([1, 1])}
        made = wake_words.graph([*mean, node("Reshape", "s shape", "y")], shape, taken=(1, 22, 96))
        (tmp_path / "weather.onnx").write_bytes(made.SerializeToString())
        assert openwakeword.card(tmp_path / "weather.onnx").context == 21
        assert scored(tmp_path / "weather.onnx", wake_words.embeddings(30)).shape == (1, 9)


class TestScores:
    @pytest.mark.parametrize("layout", wake_words.LAYOUTS)
    def test_windows_slide_along_embeddings_as_one_batch(self, tmp_path: Path, layout: str) -> None:
        path = wake_words.write(tmp_path / "word.onnx", layout)
        assert openwakeword.load(path, threads=1).batched
        embeddings = wake_words.embeddings(40, batch=3)
        assert np.abs(scored(path, embeddings) - wanted(embeddings)).max() < 1e-5
        assert wanted(embeddings).std() > 0.1

    def test_a_graph_for_one_window_computes_them_one_by_one(self, tmp_path: Path) -> None:
        made = wake_words.model("matmul")
        made.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([1, -1]), "flat"))
        (tmp_path / "word.onnx").write_bytes(made.SerializeToString())
        assert not openwakeword.load(tmp_path / "word.onnx", threads=1).batched
        embeddings = wake_words.embeddings(20, batch=2)
        assert np.abs(scored(tmp_path / "word.onnx", embeddings) - wanted(embeddings)).max() < 1e-5

    def test_a_graph_that_mixes_windows_computes_them_one_by_one(self, tmp_path: Path) -> None:
        nodes = wake_words.model("gemm").graph.node
        mixing = [node("ReduceMean", "x", "all", axes=[0]), node("Sub", "x all", "d"), node("Add", "d all", "x2")]
        mixing += [node("ReduceMean", "x2", "y0", axes=[0])]
        nodes[0].input[0] = "y0"
        made = wake_words.graph([*mixing, *nodes], wake_words.weights())
        (tmp_path / "word.onnx").write_bytes(made.SerializeToString())
        assert not openwakeword.load(tmp_path / "word.onnx", threads=1).batched

    @pytest.mark.parametrize("one_window", [False, True])
    def test_tensorflow_lite(self, lite: dict[bool, bytes], tmp_path: Path, one_window: bool) -> None:
        path = tmp_path / "word.tflite"
        path.write_bytes(lite[one_window])
        assert openwakeword.load(path, threads=1).batched is not one_window
        embeddings = wake_words.embeddings(40, batch=3)
        assert np.abs(scored(path, embeddings) - wanted(embeddings)).max() < 1e-5
        assert openwakeword.card(path).parameters == pytest.approx(FRAMES * EMBEDDING * wake_words.WIDTH, rel=0.01)

    def test_it_is_one_of_the_runtimes(self, tmp_path: Path) -> None:
        path = wake_words.write(tmp_path / "word.onnx")
        assert servable(path, LoadOptions())
        network = load(path, openwakeword.card(path), LoadOptions())
        run = network.compile([TensorSpec(name="embeddings", shape=(16, EMBEDDING))], 2)
        assert run({"embeddings": wake_words.embeddings(16, batch=2)})["scores"].shape == (2, 1)
        with pytest.raises(ValueError, match=r"word\.onnx is served as it is"):
            keras_loader.load(path)


class TestThePackage:
    """The scores are those of the package, which is given the very same files."""

    def test_the_same_scores_of_the_same_embeddings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = [wake_words.write(tmp_path / f"{layout}.onnx", layout) for layout in wake_words.LAYOUTS]
        embeddings = wake_words.embeddings(60)
        heard = wake_words.heard_by_the_package(paths, embeddings[0], monkeypatch)
        for path in paths:
            assert scored(path, embeddings)[0] == pytest.approx(heard[path.stem][15:], abs=1e-5)

    @pytest.mark.data
    @pytest.mark.skipif(not (PUBLISHED.exists() and RECORDINGS), reason="the published networks are not here")
    def test_the_same_scores_of_the_same_audio(self, tmp_path: Path) -> None:
        package = pytest.importorskip("openwakeword.model", reason="openwakeword cannot be installed here")
        path = wake_words.write(tmp_path / "word.onnx")
        theirs = package.Model(
            wakeword_models=[str(path)],
            inference_framework="onnx",
            melspec_model_path=str(PUBLISHED / "melspectrogram.onnx"),
            embedding_model_path=str(PUBLISHED / "embedding_model.onnx"),
        )
        chunks = recorded()
        heard = [theirs.predict(chunk)["word"] for chunk in chunks]
        ours = scored(path, embedded(chunks))[0]
        start = 76 // 8 + 1 + FRAMES  # chunks until nothing is left of the noise that the package begins with
        assert ours[start - 15 :] == pytest.approx(heard[start:], abs=1e-3)
        assert np.std(heard) > 0.1


def recorded() -> Any:
    """Some recordings one after the other, as 16-bit chunks of 80 ms."""
    import soundfile
    import soxr

    parts = [soxr.resample(*soundfile.read(path, dtype="float32"), 16_000) for path in RECORDINGS]
    samples = (np.concatenate(parts) * 32767).astype(np.int16)
    return samples[: len(samples) // 1280 * 1280].reshape(-1, 1280)


def embedded(chunks: Any) -> Floats:
    """Embeddings of audio by the bundled backbone."""
    folder = BUNDLED / "embedding/speech-embedding/1"
    card = read_card(folder)
    mel = Mel(MelFrontEnd()).features(chunks.reshape(-1).astype(np.float32) / 32768)
    specs = [TensorSpec(name="mel", shape=mel.shape), card.inputs[1]]
    run = load(folder, card, LoadOptions(kind="onnx")).compile(specs, 1)
    state = np.zeros((1, *card.inputs[1].shape), np.float32)
    return np.asarray(run({"mel": mel[None], "state": state})["embeddings"])


def other_shape() -> bytes:
    return bytes(wake_words.model(taken=(1, 16, 40)).SerializeToString())


def two_scores() -> bytes:
    return bytes(wake_words.model(given=(1, 2)).SerializeToString())


def half_precision() -> bytes:
    return bytes(wake_words.model(kind=TensorProto.FLOAT16).SerializeToString())


def no_graph() -> bytes:
    return b""


def truncated() -> bytes:
    return bytes(wake_words.model().SerializeToString())[:-1000]


def foreign_operator() -> bytes:
    made = wake_words.model()
    made.graph.node[-1].domain = "com.example"
    return bytes(made.SerializeToString())


def own_function() -> bytes:
    made = wake_words.model()
    opset = [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("", "Sigmoid", ["a"], ["b"], [node("Relu", "a", "b")], opset))
    return bytes(made.SerializeToString())


def branch() -> bytes:
    within = helper.make_graph([node("Identity", "n", "i")], "branch", [], [])
    made = wake_words.model()
    made.graph.node.insert(0, node("If", "x", "z", then_branch=within, else_branch=within))
    return bytes(made.SerializeToString())


def elsewhere(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")


def weights_elsewhere() -> bytes:
    made = wake_words.model()
    elsewhere(made.graph.initializer[-1])
    return bytes(made.SerializeToString())


def constant_elsewhere() -> bytes:
    made = wake_words.model("layer normalization")
    elsewhere(made.graph.node[0].attribute[0].t)
    return bytes(made.SerializeToString())


def sparse_elsewhere() -> bytes:
    made = wake_words.model()
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([0])), [4])
    elsewhere(sparse.values)
    made.graph.sparse_initializer.append(sparse)
    return bytes(made.SerializeToString())


def unreadable_note() -> bytes:
    made = wake_words.model()
    helper.set_model_props(made, {NOTE_KEY: '{"word": ""}'})
    return bytes(made.SerializeToString())


def lite_weights_elsewhere(model: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    group, buffer = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
    group.name, buffer.id, buffer.length, buffer.packing = b"/etc/hostname", 1, 8, b""
    model.externalBufferGroups, model.externalBuffers = [group], [buffer]


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (lambda: b"only some words", "it is not an ONNX file"),
            (truncated, "it is not an ONNX file"),
            (no_graph, r"its inputs are none and its outputs none, not \[1, 16, 96\] and \[1, 1\]"),
            (other_shape, r"its inputs are \[1, 16, 40\] and its outputs \[1, 1\]"),
            (two_scores, r"its inputs are \[1, 16, 96\] and its outputs \[1, 2\]"),
            (half_precision, "its inputs are other than float32"),
            (foreign_operator, r"operators outside ONNX: com\.example"),
            (own_function, "operators outside ONNX: functions"),
            (branch, "it has more than one graph"),
            (weights_elsewhere, "it stores weights in another file"),
            (constant_elsewhere, "it stores weights in another file"),
            (sparse_elsewhere, "it stores weights in another file"),
            (unreadable_note, "the word and the decision, cannot be read"),
        ],
    )
    def test_onnx(self, tmp_path: Path, data: Callable[[], bytes], reason: str) -> None:
        path = tmp_path / "word.onnx"
        path.write_bytes(data())
        with pytest.raises(ValueError, match=rf"^word\.onnx is not a wake word of openWakeWord: .*{reason}"):
            openwakeword.card(path)

    def test_outputs_that_are_not_scores_are_rejected(self, tmp_path: Path) -> None:
        path = tmp_path / "word.onnx"
        path.write_bytes(wake_words.graph([node("Nonsense", "x", "y")], {}).SerializeToString())
        with pytest.raises(ValueError, match="its runtime rejects it"):
            openwakeword.load(path, threads=1)
        logits = [*wake_words.model().graph.node[:-1], node("Identity", "l", "y")]
        path.write_bytes(wake_words.graph(logits, wake_words.weights()).SerializeToString())
        with pytest.raises(ValueError, match="not scores between 0 and 1"):
            openwakeword.load(path, threads=1)

    @pytest.mark.parametrize("name", ["word.onnx", "word.tflite"])
    def test_a_huge_file_is_not_read(self, tmp_path: Path, name: str) -> None:
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(ValueError, match="it is larger than 16 MiB"):
            openwakeword.card(tmp_path / name)

    @pytest.mark.parametrize("part", [b"only some words", b"", slice(0, 100), slice(0, -4000), slice(0, 20_000)])
    def test_tensorflow_lite(self, lite: dict[bool, bytes], tmp_path: Path, part: bytes | slice) -> None:
        path = tmp_path / "word.tflite"
        path.write_bytes(part if isinstance(part, bytes) else lite[False][part])
        with pytest.raises(ValueError, match=r"^word\.tflite is not a wake word of openWakeWord: "):
            openwakeword.card(path)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda model: setattr(model.operatorCodes[0], "customCode", b"Other"), "outside TensorFlow Lite"),
            (lambda model: model.subgraphs.append(model.subgraphs[0]), "more than one graph"),
            (lite_weights_elsewhere, "weights outside the file"),
            (lambda model: setattr(model.subgraphs[0].tensors[0], "shape", [1, 16, 40]), r"inputs are \[1, 16, 40\]"),
        ],
    )
    def test_tensorflow_lite_with_more_than_a_classifier(
        self, lite: dict[bool, bytes], tmp_path: Path, change: Callable[[Any], Any], reason: str
    ) -> None:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(lite[False]))
        change(model)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        (tmp_path / "word.tflite").write_bytes(bytes(builder.Output()))
        with pytest.raises(ValueError, match=reason):
            openwakeword.card(tmp_path / "word.tflite")

    @pytest.mark.parametrize("extra", ["onnx", "tflite"])
    def test_a_missing_package_is_reported_with_its_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str
    ) -> None:
        monkeypatch.setattr(openwakeword, "find_spec", lambda name: None)
        path = tmp_path / f"word.{extra}"
        assert not servable(path, LoadOptions())
        with pytest.raises(ValueError, match=rf"word\.{extra} needs the extra '{extra}': pip install '\.\[{extra}\]'"):
            openwakeword.card(path)
