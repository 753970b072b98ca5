from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from helpers.beep import BeepModel, beeps, embedding_card, encode, trigger_card
from trigger_api.errors import DeadlineExceeded, NotReady, TooLarge, UnknownModel
from trigger_api.inference import Engine
from trigger_api.media.audio import Audio, AudioLimits, decode
from trigger_api.model_card import Decision, Limits, ModelCard, SpectrogramFrontEnd, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import ModelVersion, Registry
from trigger_api.runtimes import LoadedModel
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.tasks import Context
from trigger_api.tasks.trigger import clip as module
from trigger_api.tasks.trigger.task import Trigger
from trigger_api.tasks.trigger.words import acquire


class LevelModel:
    """Shaped like the Coursera network: scores each step by how loud its four frames are."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        def run(tensors: Tensors) -> Tensors:
            power = tensors["spectrogram"].sum(axis=2)[:, :5_500].reshape(batch, 1_375, 4).mean(axis=2)
            return {"scores": (power > 1e5).astype(np.float32)[..., None]}

        return run


def coursera_card() -> ModelCard:
    return ModelCard(
        task="trigger",
        name="coursera",
        version="1",
        inputs=(TensorSpec(name="spectrogram", shape=(5_511, 101)),),
        outputs=(TensorSpec(name="scores", shape=(1_375, 1)),),
        frame_ms=320 / 44.1,
        context=345,
        front_end=SpectrogramFrontEnd(level_dbfs=None),
        decision=Decision(threshold=0.5, refractory_ms=300),
        limits=Limits(batch_sizes=(1, 2)),
    )


@pytest.fixture
def network() -> BeepModel:
    return BeepModel()


@pytest.fixture
async def task(network: BeepModel) -> AsyncIterator[Trigger]:
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    cards = [trigger_card(), embedding_card(), coursera_card()]

    def load(path: Path, card: ModelCard) -> LoadedModel:
        return LevelModel() if card.name == "coursera" else network

    registry = Registry([ModelVersion(card, Path()) for card in cards], load, engine.scheduler, Metrics())
    await asyncio.to_thread(registry.load_all)
    yield Trigger(Context(engine, registry, audio=AudioLimits(seconds=180)))
    network.gate.set()
    await engine.close(5)


async def detect(task: Trigger, beeps_at: Sequence[float], seconds: float, **options: object) -> list[int]:
    model = str(options.get("model", "beep"))
    (result,) = await task.predict(encode(beeps(beeps_at, seconds=seconds)), model=model)
    assert result.duration_ms == round(seconds * 1000)
    return [hit.time_ms for hit in result.detections]


@pytest.mark.parametrize("model", ["beep", "coursera"])
class TestAnyLength:
    async def test_a_clip_shorter_than_a_window(self, task: Trigger, model: str) -> None:
        assert len(await detect(task, [0.25], 0.3, model=model)) == 1

    async def test_minutes_with_words_at_every_position_of_the_seams(self, task: Trigger, model: str) -> None:
        beeps_at = np.arange(0.5, 120, 0.7).tolist()
        found = await detect(task, beeps_at, 120, model=model)
        assert len(found) == len(beeps_at)
        starts = np.array(beeps_at) * 1000 - 200
        assert np.abs(np.array(found) - starts).max() < 60  # less than a step

    async def test_silence(self, task: Trigger, model: str) -> None:
        assert await detect(task, [], 12.3, model=model) == []

    async def test_a_single_sample(self, task: Trigger, model: str) -> None:
        (result,) = await task.predict(encode(np.zeros(1, np.float32)), model=model)
        assert result.detections == ()


async def test_a_word_at_the_very_end_ends_within_the_recording(task: Trigger) -> None:
    (end,) = await detect(task, [1.0], 0.83)
    assert end <= 830


async def test_the_caller_may_set_the_threshold(task: Trigger) -> None:
    data = encode(beeps([1.0], seconds=2))
    assert (await task.predict(data, threshold=0.9))[0].threshold == 0.9
    assert (await task.predict(data))[0].threshold == 0.5


async def test_unknown_models_and_too_long_recordings_are_rejected(task: Trigger, network: BeepModel) -> None:
    with pytest.raises(UnknownModel):
        await task.predict(b"", model="nix")
    with pytest.raises(TooLarge):
        await task.predict(encode(np.zeros(16_000 * 181, np.float32)))


async def test_a_late_answer_is_an_error(network: BeepModel) -> None:
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    cards = [trigger_card(limits=Limits(batch_sizes=(1,), deadline_s=0.1)), embedding_card()]
    entries = [ModelVersion(card, Path()) for card in cards]
    registry = Registry(entries, lambda path, card: network, engine.scheduler, Metrics())
    registry.load_all()
    network.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await Trigger(Context(engine, registry)).predict(encode(beeps([1.0], seconds=2)))
    network.gate.set()
    await engine.close(5)


async def test_several_words_share_one_decoding(task: Trigger, monkeypatch: pytest.MonkeyPatch) -> None:
    data, times = encode(beeps([1.0], seconds=2)), []

    def counted(*args: object) -> Audio:
        times.append(1)
        return decode(*args)  # type: ignore[arg-type]

    alone = [result for name in ("beep", "coursera") for result in await task.predict(data, model=name)]
    monkeypatch.setattr(module, "decode", counted)
    assert await task.predict(data, words=["*"]) == alone
    assert await task.predict(data, words=["coursera", "beep"]) == alone[::-1]
    assert len(times) == 2


async def test_every_word_of_no_models_is_an_error() -> None:
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    registry = Registry([], lambda path, card: BeepModel(), engine.scheduler, Metrics())
    with pytest.raises(UnknownModel):
        await Trigger(Context(engine, registry)).predict(b"", words=["*"])
    await engine.close(5)


class ManyWords:
    """Twenty heads on one backbone; the calls of each model are recorded."""

    def __init__(self) -> None:
        self.model = BeepModel()
        self.names = [f"beep{n}" for n in range(20)]
        self.calls: list[str] = []

    def load(self, path: Path, card: ModelCard) -> LoadedModel:
        return _Counting(self, card)


class _Counting:
    def __init__(self, words: ManyWords, card: ModelCard) -> None:
        self._words, self._card = words, card

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        run = self._words.model.compile(specs, batch)

        def counted(tensors: Tensors) -> Tensors:
            self._words.calls.append(self._card.name)
            return run(tensors)

        return counted


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    yield made
    await made.close(5)


async def test_the_backbone_embeds_a_recording_once_for_all_words(engine: Engine) -> None:
    words = ManyWords()
    cards = [embedding_card(), *(trigger_card(name) for name in words.names)]
    registry = Registry([ModelVersion(card, Path()) for card in cards], words.load, engine.scheduler, Metrics())
    registry.load_all()
    words.calls.clear()
    task = Trigger(Context(engine, registry))
    data = encode(beeps([0.2], seconds=0.3))  # two windows, a batch of each model
    results = await task.predict(data, words=["*"])
    assert [result.word for result in results] == words.names
    assert {result.detections for result in results} == {results[0].detections}
    assert sorted(words.calls) == sorted(["beep-embedding", *words.names])


class CountedCascade:
    """A student whose outputs are a share of its backbone's, and the names of the models that were called."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.calls: list[str] = []

    def load(self, path: Path, card: ModelCard) -> LoadedModel:
        network, share = BeepModel(), self.share if card.name == "student" else 1.0

        class Shared:
            def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
                run = network.compile(specs, batch)

                def counted(tensors: Tensors) -> Tensors:
                    calls.append(card.name)
                    return {name: tensor * np.float32(share) for name, tensor in run(tensors).items()}

                return counted

        calls = self.calls
        return Shared()


def gated(gate: float = 0.05) -> list[ModelCard]:
    """A head, its backbone, and the backbone's student."""
    decision = Decision(threshold=0.5, refractory_ms=300, gate=gate)
    head = trigger_card().model_copy(update={"student": "student", "decision": decision})
    return [head, embedding_card(), embedding_card().model_copy(update={"name": "student"})]


@pytest.mark.parametrize(
    ("share", "cards", "detections", "calls"),
    [
        (0.0, gated(), 0, ["student", "beep"]),
        (1.0, gated(), 1, ["student", "beep", "beep-embedding", "beep"]),
        (0.0, gated(gate=0.0), 1, ["student", "beep", "beep-embedding", "beep"]),
        (0.0, gated()[:2], 1, ["beep-embedding", "beep"]),
    ],
)
async def test_the_backbone_is_run_where_the_student_passes_the_gate(
    engine: Engine, share: float, cards: list[ModelCard], detections: int, calls: list[str]
) -> None:
    cascade = CountedCascade(share)
    registry = Registry([ModelVersion(card, Path()) for card in cards], cascade.load, engine.scheduler, Metrics())
    registry.load_all()
    cascade.calls.clear()
    (result,) = await Trigger(Context(engine, registry)).predict(encode(beeps([0.2], seconds=0.3)))
    assert len(result.detections) == detections
    assert list(dict.fromkeys(cascade.calls)) == list(dict.fromkeys(calls))
    assert len(cascade.calls) == len(calls)


async def test_silence_precedes_a_recording(engine: Engine) -> None:
    """A head that scores the embedding of two steps ago: its first scores are those of silence."""

    class LoadedModel:
        def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
            def embed(tensors: Tensors) -> Tensors:
                last = tensors["mel"].reshape(batch, -1, 8, 32).mean(axis=(2, 3))
                return {"embeddings": np.stack([last, last], axis=-1), "state": tensors["state"]}

            def score(tensors: Tensors) -> Tensors:
                return {"scores": (tensors["embeddings"][:, :-2, 0] == -8).astype(np.float32)}

            return embed if specs[0].name == "mel" else score

    card = trigger_card().model_copy(update={"decision": Decision(threshold=0.5, patience=2, refractory_ms=0)})
    entries = [ModelVersion(card, Path()), ModelVersion(embedding_card(), Path())]
    registry = Registry(entries, lambda path, card: LoadedModel(), engine.scheduler, Metrics())
    registry.load_all()
    (result,) = await Trigger(Context(engine, registry)).predict(encode(beeps([], seconds=0.4)))
    first, *_ = result.detections
    assert first.time_ms == 160


async def test_a_head_waits_for_its_backbone(engine: Engine) -> None:
    entries = [ModelVersion(trigger_card(), Path()), ModelVersion(embedding_card(), Path())]
    registry = Registry(entries, lambda path, card: BeepModel(), engine.scheduler, Metrics())
    registry.load(entries[0])
    with pytest.raises(NotReady, match="embedding/beep-embedding/1 is not loaded yet") as raised:
        await Trigger(Context(engine, registry)).predict(b"")
    assert raised.value.retry_after == 2


async def test_a_request_keeps_its_versions(task: Trigger) -> None:
    registry = task._registry
    with acquire(registry, ["beep", "coursera"]) as (head, whole):
        assert head.backbone is registry.find("embedding").model
        assert whole.backbone is None
        assert head.backbone is not None
        assert head.backbone.handles == head.model.handles == 1
    assert head.backbone.handles == 0
