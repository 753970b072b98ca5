"""The bundled model live: equal to whole clips, alone and among others, and no ghosts."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from helpers.beep import encode
from helpers.until import let_others_run, until
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import Tensors
from trigger_api.schemas import StreamQuery
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.streaming.session import Session
from trigger_api.streaming.stream import Stream
from trigger_api.streaming.stream_batch import PrebatchedQueue
from trigger_api.tasks.trigger import task as trigger
from trigger_api.tasks.trigger.task import Trigger

SAMPLES = Path(__file__).parent.parent.parent / "samples"
TOLERANCE = 1e-4  # compiled functions of different batch sizes add in different orders


def recording(name: str) -> NDArray[np.int16]:
    samples, rate = soundfile.read(SAMPLES / name, dtype="float32")
    return np.asarray(soxr.resample(samples, rate, 16_000) * 32_767, np.int16)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service(Settings(max_streams_per_caller=200), Metrics())
    entry = made.registry.find("trigger", "activate")
    await asyncio.to_thread(made.registry.load_with_backbone, entry)
    await made.rooms.start()
    yield made
    await made.close()


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> dict[Session, list[float]]:
    """Every score of every session."""
    heard: dict[Session, list[float]] = {}
    original = Session.decide

    def decide(self: Session, scores: Sequence[float], level: float) -> object:
        heard.setdefault(self, []).extend(scores)
        return original(self, scores, level)

    monkeypatch.setattr(Session, "decide", decide)
    return heard


async def play(service: Service, audio: NDArray[np.int16], *, room: str = "room", frame: int = 1280) -> Stream:
    """Stream a recording as fast as it is processed."""
    async with service.rooms.open(StreamQuery(room=room), "test", real_time=False) as stream:
        for start in range(0, len(audio), frame):
            stream.feed(audio[start : start + frame].tobytes())
            await stream.caught_up()
        stream.finish()
        async for _ in stream.results():
            pass
        return stream


async def whole(service: Service, audio: NDArray[np.int16], monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    """The scores that the whole-clip path decides on."""
    found: list[NDArray[np.float32]] = []
    postprocess = trigger._postprocess

    def spy(scores: NDArray[np.float32], *rest: Any) -> trigger.TriggerResult:
        found.append(scores)
        return postprocess(scores, *rest)

    monkeypatch.setattr(trigger, "_postprocess", spy)
    await service.task(Trigger).predict(encode(np.asarray(audio / 32_768, np.float32)))
    return found[0]


@pytest.mark.slow
async def test_scores_are_the_same_alone_among_64_and_of_the_whole_clip_at_every_hop(
    service: Service, scores: dict[Session, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    original = PrebatchedQueue.check

    def check(self: PrebatchedQueue, item: Tensors) -> None:
        batches.extend(map(len, item.values()))
        original(self, item)

    monkeypatch.setattr(PrebatchedQueue, "check", check)
    said, other = recording("activate.wav"), recording("other.wav")
    alone = await play(service, said)
    lone = np.array(scores[alone.session])
    assert set(batches) == {1}

    # Sixty-four others say other things, at other times, in frames of other lengths.
    others = [play(service, np.roll(other, 997 * n), room=f"r{n}", frame=500 + 40 * n) for n in range(64)]
    among, *_ = await asyncio.gather(play(service, said, frame=1111), *others)
    assert 16 in batches  # the backbone's largest block
    together = np.array(scores[among.session])
    clip = await whole(service, said, monkeypatch)
    length = len(said) // 1_280
    assert length > 50
    assert among.detections == alone.detections
    np.testing.assert_allclose(together[:length], lone[:length], rtol=0, atol=TOLERANCE)
    passed = clip[:length] >= 0.1  # lower scores may be those on the student's embeddings
    assert passed.sum() > 2
    np.testing.assert_allclose(lone[:length][passed], clip[:length][passed], rtol=0, atol=TOLERANCE)


@pytest.mark.slow
async def test_a_room_tells_the_time_of_a_clip_wherever_the_word_lies_between_two_scores(service: Service) -> None:
    said, hiss = recording("activate.wav"), np.random.default_rng(0).integers(-3, 4, 16_000).astype(np.int16)
    for ms in range(0, 80, 10):
        audio = np.concatenate([hiss[: 16 * ms], said])
        (result,) = await service.task(Trigger).predict(encode(np.asarray(audio / 32_768, np.float32)))
        (live,) = await detections(service, audio)
        assert [live] == [hit.time_ms for hit in result.detections]
        assert live - ms == pytest.approx(2_200, abs=40)


async def test_a_word_that_is_cut_off_ends_with_the_audio(service: Service) -> None:
    audio = recording("activate.wav")[: round(2.15 * 16_000)]
    (result,) = await service.task(Trigger).predict(encode(np.asarray(audio / 32_768, np.float32)))
    assert await detections(service, audio) == [hit.time_ms for hit in result.detections] == [2_150]


async def detections(service: Service, audio: NDArray[np.int16]) -> list[int]:
    """When a room says that the word was said."""
    async with service.rooms.open(StreamQuery(room="room"), "test", real_time=False) as stream:
        stream.feed(audio.tobytes())
        await stream.caught_up()
        stream.finish()
        return [hit.time_ms async for result in stream.results() for hit in result.detections]


@pytest.mark.slow
async def test_no_ghost_after_a_reconnect(service: Service) -> None:
    said = recording("activate.wav")
    ends = round(2.2 * 16_000)
    for cut in range(ends - 8_000, ends + 8_000, 2_000):  # wherever the room went away
        async with service.rooms.open(StreamQuery(room="hall"), "test", real_time=False) as stream:
            stream.feed(said[:cut].tobytes())
            await stream.caught_up()
        again = await play(service, np.zeros(3 * 16_000, np.int16), room="hall")
        assert again.detections == 0


async def test_a_detection_is_published_to_subscribers(service: Service) -> None:
    subscriber = asyncio.ensure_future(anext(service.rooms.events.subscribe("hall")))
    await let_others_run()
    stream = await play(service, recording("activate.wav"), room="hall")
    event = await asyncio.wait_for(subscriber, 5)
    assert stream.detections == 1
    assert event.time_ms == pytest.approx(2_200, abs=120)
    assert (event.room, event.word, event.model) == ("hall", "activate", "activate")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[NDArray[Any]]]:
    """Every tensor that the network was given or gave."""
    seen: list[weakref.ref[NDArray[Any]]] = []
    original = PrebatchedQueue.compute

    def compute(self: PrebatchedQueue, items: Sequence[Tensors]) -> list[Tensors]:
        answers = original(self, items)
        seen.extend(weakref.ref(tensor) for tensors in (*items, *answers) for tensor in tensors.values())
        return answers

    monkeypatch.setattr(PrebatchedQueue, "compute", compute)
    return seen


async def test_tensors_are_released_at_once(service: Service, computed: list[weakref.ref[NDArray[Any]]]) -> None:
    gc.disable()  # it would find what nobody refers to but itself, some time
    try:
        await play(service, recording("activate.wav"))
        assert computed
        # The thread that gave the last answer may still hold it for a moment.
        await until(lambda: all(tensor() is None for tensor in computed))
    finally:
        gc.enable()
