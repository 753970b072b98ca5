from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import BeepNetwork, beeps, encode, trigger_card
from trigger_api.cards import Decision, Limits, ModelCard, SpectrogramFrontEnd, TensorSpec
from trigger_api.errors import DeadlineExceeded, TooLarge, UnknownModel, Unprocessable
from trigger_api.inference import Engine, Lane, Runner, Tensors
from trigger_api.media.audio import Audio, AudioLimits, decode
from trigger_api.metrics import Metrics
from trigger_api.registry import Entry, Registry
from trigger_api.runtimes import Network
from trigger_api.tasks import trigger as module
from trigger_api.tasks.trigger import Trigger, Windows, decision_for, listener_for


class LevelNetwork:
    """The shape of the exercise's network: scores a step by how loud its four frames are."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> Runner:
        def run(tensors: Tensors) -> Tensors:
            power = tensors["spectrogram"].sum(axis=2)[:, :5_500].reshape(batch, 1_375, 4).mean(axis=2)
            return {"scores": (power > 1e5).astype(np.float32)[..., None]}

        return run


def exercise_card() -> ModelCard:
    return ModelCard(
        task="trigger",
        name="exercise",
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
def network() -> BeepNetwork:
    return BeepNetwork()


@pytest.fixture
async def task(network: BeepNetwork) -> AsyncIterator[Trigger]:
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    entries = [Entry(trigger_card(), Path()), Entry(exercise_card(), Path())]

    def load(path: Path, card: ModelCard) -> Network:
        return network if card.name == "beep" else LevelNetwork()

    registry = Registry(entries, load, engine.scheduler, Metrics())
    await asyncio.to_thread(registry.load_all)
    yield Trigger(engine, registry, AudioLimits(seconds=180))
    network.gate.set()
    await engine.close(5)


async def ends(task: Trigger, wanted: Sequence[float], seconds: float, **options: object) -> list[int]:
    model = str(options.get("model", "beep"))
    heard = await task.detect(encode(beeps(wanted, seconds=seconds)), model=model)
    assert heard.duration_ms == round(seconds * 1000)
    return [hit.time_ms for hit in heard.detections]


@pytest.mark.parametrize("model", ["beep", "exercise"])
class TestAnyLength:
    async def test_a_clip_shorter_than_a_window(self, task: Trigger, model: str) -> None:
        assert len(await ends(task, [0.25], 0.3, model=model)) == 1

    async def test_minutes_with_a_word_at_every_place_of_the_seams(self, task: Trigger, model: str) -> None:
        wanted = np.arange(0.5, 120, 0.7).tolist()
        found = await ends(task, wanted, 120, model=model)
        assert len(found) == len(wanted)
        assert np.abs(np.array(found) - np.array(wanted) * 1000 + 180).max() < 60  # the beep's start, and some frames

    async def test_silence(self, task: Trigger, model: str) -> None:
        assert await ends(task, [], 12.3, model=model) == []

    async def test_a_single_sample(self, task: Trigger, model: str) -> None:
        heard = await task.detect(encode(np.zeros(1, np.float32)), model=model)
        assert heard.detections == ()


async def test_a_word_at_the_very_end_is_heard_within_the_recording(task: Trigger) -> None:
    (end,) = await ends(task, [1.0], 0.83)
    assert end <= 830


async def test_the_callers_threshold_counts(task: Trigger) -> None:
    data = encode(beeps([1.0], seconds=2))
    assert (await task.detect(data, threshold=0.9)).threshold == 0.9
    assert (await task.detect(data)).threshold == 0.5


async def test_its_errors(task: Trigger, network: BeepNetwork) -> None:
    with pytest.raises(UnknownModel):
        await task.detect(b"", model="nix")
    with pytest.raises(TooLarge):
        await task.detect(encode(np.zeros(16_000 * 181, np.float32)))


async def test_a_late_answer_is_no_answer(network: BeepNetwork) -> None:
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    card = trigger_card(limits=Limits(batch_sizes=(1,), deadline_s=0.1))
    registry = Registry([Entry(card, Path())], lambda path, card: network, engine.scheduler, Metrics())
    registry.load_all()
    network.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await Trigger(engine, registry, AudioLimits()).detect(encode(beeps([1.0], seconds=2)))
    network.gate.set()
    await engine.close(5)


class TestWindows:
    @pytest.mark.parametrize("frames", [1, 8, 63, 64, 65, 124, 125, 500, 1_001])
    def test_every_score_comes_from_a_window_with_its_whole_context(self, frames: int) -> None:
        """A network that sums the last five frames needs four of context: windows must give what one call gives."""
        card = trigger_card()
        plan = Windows(length=64, stride=1, scores=64, context=4)
        features = np.random.default_rng(0).normal(size=(frames, 40)).astype(np.float32)
        lane = Lane("x", [card.inputs[0], TensorSpec(name="state", shape=(1,))], {1: lambda x: x}, Limits(), Metrics())
        parts = [causal_sum(item["features"]) for item in plan.cut(features, lane)]
        assert np.allclose(plan.join(parts, frames), causal_sum(features), atol=1e-5)

    def test_no_window_is_wasted(self) -> None:
        plan = Windows(length=64, stride=1, scores=64, context=4)
        lane = Lane("x", [TensorSpec(name="x", shape=(64, 1))], {1: lambda x: x}, Limits(), Metrics())
        counts = [len(plan.cut(np.zeros((frames, 1), np.float32), lane)) for frames in (1, 64, 65, 124, 125)]
        assert counts == [1, 1, 2, 2, 3]


def causal_sum(features: NDArray[np.float32]) -> NDArray[np.float32]:
    totals = features.sum(axis=1)
    return np.asarray(np.convolve(totals, np.ones(5))[: len(totals)], np.float32)


def test_sensitivities_are_the_cards() -> None:
    measured = Decision(threshold=0.6, sensitivities={"low": 0.9, "high": 0.3})
    card = trigger_card().model_copy(update={"decision": measured})
    found = {name: decision_for(card, sensitivity=name).threshold for name in ("low", "medium", "high")}
    assert found == {"low": 0.9, "medium": 0.6, "high": 0.3}
    assert decision_for(card, threshold=0.1).threshold == 0.1
    assert decision_for(card) == measured
    with pytest.raises(Unprocessable, match="medium"):
        decision_for(trigger_card(), sensitivity="high")


def test_a_word_is_a_label_or_a_models_name() -> None:
    cards = [trigger_card("beep"), trigger_card("other").model_copy(update={"labels": ("hey you",)})]
    assert [listener_for(cards, word) for word in ("beep", "hey you", "other")] == ["beep", "other", "other"]
    with pytest.raises(UnknownModel, match="known: beep, hey you"):
        listener_for(cards, "nix")


async def test_words_hear_one_decoding_and_answer_as_each_alone(task: Trigger, monkeypatch: pytest.MonkeyPatch) -> None:
    data, times = encode(beeps([1.0], seconds=2)), []

    def counted(*args: object) -> Audio:
        times.append(1)
        return decode(*args)  # type: ignore[arg-type]

    alone = [await task.detect(data, model=name) for name in ("beep", "exercise")]
    monkeypatch.setattr(module, "decode", counted)
    assert await task.detect_words(data, ["*"]) == alone
    assert await task.detect_words(data, ["exercise", "beep"]) == alone[::-1]
    assert len(times) == 2


async def test_every_word_where_there_is_none() -> None:
    engine = Engine(inference_threads=1, preprocess_threads=1, preprocess_queue=9)
    registry = Registry([], lambda path, card: BeepNetwork(), engine.scheduler, Metrics())
    with pytest.raises(UnknownModel):
        await Trigger(engine, registry, AudioLimits()).detect_words(b"", ["*"])
    await engine.close(5)
