from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.beep import BeepModel, beeps, embedding_card, trigger_card
from helpers.live_server import pcm
from trigger_api.errors import Overloaded, TooFast
from trigger_api.model_card import Decision, ModelCard
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Model
from trigger_api.scheduler import BatchQueue
from trigger_api.streaming.session import BackboneStream, Keyword, Session, StreamModel, VoiceActivityGate

SILENCE = np.array([0.25, 0.5], np.float32)


def loaded(card: ModelCard) -> Model:
    length = min(card.sequence_lengths)
    shapes = [tuple(length if n < 0 else n for n in spec.shape) for spec in card.inputs]
    specs = [spec.model_copy(update={"shape": shape}) for spec, shape in zip(card.inputs, shapes, strict=True)]
    functions = {1: BeepModel().compile(specs, 1)}
    return Model(card, {length: BatchQueue(card.name, specs, functions, card.limits, Metrics())}, SILENCE)


MODEL = StreamModel(loaded(embedding_card()))
HEAD = loaded(trigger_card())
LONG = loaded(trigger_card().model_copy(update={"sequence_lengths": (5,), "context": 4}))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def session(rate: int = 16_000, **options: object) -> tuple[Session, Clock]:
    clock = Clock()
    keywords = [Keyword(HEAD, Decision()), Keyword(LONG, Decision(threshold=0.9, patience=2))]
    return Session(MODEL, rate, keywords, clock=clock, **options), clock  # type: ignore[arg-type]


def hops(stream: Session) -> list[NDArray[np.float32]]:
    found = []
    while (hop := stream.process(stream.take())) is not None:
        found.append(hop)
    return found


@given(cuts=st.lists(st.integers(0, 6_400), max_size=12))
def test_frames_of_any_length_odd_ones_too_are_the_same_stream(cuts: list[int]) -> None:
    audio = pcm(beeps([0.1], seconds=0.2))
    whole, _ = session()
    whole.feed(audio)
    pieces, _ = session()
    found = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(audio)], strict=True):
        pieces.feed(audio[start:end])
        found += hops(pieces)
    np.testing.assert_array_equal(found, hops(whole))


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_other_rates_are_brought_to_the_models(rate: int) -> None:
    samples = beeps([0.5], seconds=1, rate=rate)
    stream, _ = session(rate)
    found = []
    for start in range(0, len(samples), 777):
        stream.feed(pcm(samples[start : start + 777]))
        found += hops(stream)
    heard = np.concatenate([hop[stream.model.overlap :] for hop in found])
    whole = soxr.resample(np.round(samples * 32767) / 32768, rate, 16_000)
    assert len(heard) >= 16_000 - 2 * stream.model.hop
    np.testing.assert_allclose(heard, whole[: len(heard)], atol=1e-4)


def test_the_end_is_followed_by_silence_long_enough_to_decide_in() -> None:
    stream, _ = session(48_000)
    stream.feed(bytes(2 * 48_000))
    stream.finish()
    assert stream.finishing
    assert len(hops(stream)) * stream.model.hop_ms >= 1_500


def test_audio_faster_than_real_time_is_an_error() -> None:
    stream, clock = session(backlog_s=2.0)
    for _ in range(100):
        stream.feed(bytes(3_200))
        hops(stream)
        clock.now += 0.1
    stream.feed(bytes(60_000))
    with pytest.raises(TooFast, match="2 s ahead"):
        stream.feed(bytes(60_000))


def test_after_a_network_pause_a_backlog_may_arrive_at_once() -> None:
    stream, clock = session(backlog_s=3.0)
    clock.now += 100
    stream.feed(bytes(2 * 16_000 * 3))
    hops(stream)
    stream.feed(bytes(2 * 16_000 * 3))
    hops(stream)
    with pytest.raises(TooFast):
        stream.feed(bytes(2 * 16_000))


def test_a_server_that_falls_behind_reports_overload() -> None:
    stream, clock = session(backlog_s=1.0)
    for _ in range(11):
        clock.now += 0.1
        stream.feed(bytes(3_200))
    with pytest.raises(Overloaded, match="1 s behind"):
        stream.feed(bytes(3_200))
    assert stream.waiting_s < 1.2


def test_a_gate_opens_for_sound_and_closes_a_while_after() -> None:
    gate = VoiceActivityGate(-40, hop_ms=500)
    levels = (-60, -30, -50, -50, -50, -50, -50)
    assert [gate.opens(level) for level in levels] == [False, True, True, True, True, False, False]


def test_it_begins_in_silence_and_keeps_as_many_embeddings_as_its_longest_head_takes() -> None:
    stream, _ = session()
    assert stream.recent.shape == (5, 2)
    assert not stream.state.any()
    assert (stream.recent == SILENCE).all()
    for number in range(1, 8):
        stream.update_state(np.full(1, number, np.float32), np.full(2, number, np.float32))
    assert stream.recent[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert stream.state.tolist() == [7]


def test_each_word_is_decided_on_by_itself() -> None:
    stream, _ = session()
    hops = [stream.decide(scores, -20.0) for scores in ([0.6, 0.95], [0.2, 0.95], [0.2, 0.95])]
    found = [[(hit.keyword is stream.keywords[0], hit.time_ms) for hit in hop.detections] for hop in hops]
    assert found == [[(True, 80)], [(False, 160)], []]
    assert [hop.time_ms for hop in hops] == [80, 160, 240]


def many(card: ModelCard) -> Model:
    """A model with queues of all its sequence lengths."""
    parts = [loaded(card.model_copy(update={"sequence_lengths": (length,)})) for length in card.sequence_lengths]
    return Model(card, {length: queue for part in parts for length, queue in part.queues.items()}, SILENCE)


class TestBackboneStream:
    MODEL = StreamModel(many(embedding_card()))

    def test_it_catches_up_by_the_shortest_window_that_is_long_enough(self) -> None:
        assert self.MODEL.catch_up_queue(3) is self.MODEL.catch_up_queue(7)
        assert self.MODEL.catch_up_queue(3).specs[0].shape == (64, 32)
        backbone = BackboneStream(self.MODEL, 3)
        assert backbone.frames.shape == (64, 32)
        assert (backbone.frames == -8).all()

    def test_it_keeps_the_latest_frames_and_counts_pending_hops(self) -> None:
        backbone = BackboneStream(self.MODEL, 3)
        for number in (1, 2):
            backbone.add_hop(np.full((8, 32), number, np.float32))
        assert backbone.frames[:, 0].tolist() == [-8.0] * 48 + [1.0] * 8 + [2.0] * 8
        assert backbone.pending_hops == 2
        backbone.update_state(np.ones(1, np.float32), np.array([[1, 2], [3, 4]], np.float32))
        assert (backbone.pending_hops, backbone.state.tolist()) == (0, [1])
        assert backbone.recent.tolist() == [SILENCE.tolist(), [1, 2], [3, 4]]

    def test_it_stays_active_for_a_few_hops(self) -> None:
        backbone = BackboneStream(self.MODEL, 3)
        candidates = [False, True, False, False, False, False, False, True]
        active = [backbone.is_active(candidate) for candidate in candidates]
        assert active == [False, True, True, True, True, False, False, True]

    def test_a_candidate_reaches_the_gate_of_a_keyword(self) -> None:
        student = StreamModel(loaded(embedding_card()), self.MODEL)
        words = [Keyword(HEAD, Decision(threshold=0.5, gate=value)) for value in (0.04, 0.02)]
        session = Session(student, 16_000, words)
        assert not session.is_candidate([0.03, 0.01])
        assert session.is_candidate([0.03, 0.02])
        assert not Session(MODEL, 16_000, words).is_candidate([1, 1])
