from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.beep import embedding_card
from trigger_api.media.audio import AudioLimits
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Model
from trigger_api.service import Service
from trigger_api.settings import Settings
from trigger_api.tasks.trigger.cascade import Cascade, Embeddings, Span, candidate_hops
from trigger_api.tasks.trigger.clip import preprocess
from trigger_api.tasks.trigger.words import acquire

SAMPLES = Path(__file__).parents[3] / "samples"


def test_a_span_goes_from_the_first_to_the_last_candidate_and_a_little_further() -> None:
    scores = np.zeros(40, np.float32)
    assert Span.of_candidates(scores, 0.5) is None
    scores[[10, 20]] = 0.5
    assert Span.of_candidates(scores, 0.5) == Span(7, 24)
    scores[[1, 39]] = 0.6
    assert Span.of_candidates(scores, 0.5) == Span(0, 40)
    assert Span.of_candidates(np.empty(0, np.float32), 0.0) is None


def test_silence_precedes_a_recording() -> None:
    silence = np.full(2, -1, np.float32)
    part = Embeddings(Model(embedding_card(), {}, silence), 0, np.arange(10, dtype=np.float32).reshape(5, 2))
    assert part.preceded(Span(1, 3), 3)[:, 0].tolist() == [-1, -1, 0, 2, 4]
    later = Embeddings(part.model, 7, part.values)
    assert later.preceded(Span(9, 11), 2)[:, 0].tolist() == [0, 2, 4, 6]


def test_a_backbone_goes_on_listening_after_its_student_was_in_doubt() -> None:
    scores = np.zeros(12, np.float32)
    scores[[2, 10]] = 0.5
    assert np.flatnonzero(candidate_hops(scores, 0.5)).tolist() == [2, 3, 4, 5, 10, 11]
    assert candidate_hops(scores, 0.0).all()
    assert not candidate_hops(scores, 0.6).any()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service(Settings(max_batch=1), Metrics())
    made.registry.load_with_backbone(made.registry.find("trigger", "activate"))
    yield made
    asyncio.run(made.close())


async def test_where_the_word_was_said_scores_are_those_of_the_backbone_on_the_whole_recording(
    service: Service,
) -> None:
    data = (SAMPLES / "activate.wav").read_bytes()
    with acquire(service.registry, ["activate"]) as (word,):
        assert word.student is not None
        assert word.low_rank is not None
        assert word.backbone is not None
        clip = preprocess(data, [word.backbone.card, word.student.card], AudioLimits())
        async with service.engine.deadline(30) as deadline:
            scores = await Cascade(service.engine, clip, {word.model: 0.018}, deadline).score([word])
            whole = await Cascade(service.engine, clip, {word.model: 0.0}, deadline).score([word.without_student])
    ours, backbone = scores[word.model], whole[word.model]
    assert ours.shape == backbone.shape
    said = backbone >= 0.2
    assert said.any()
    np.testing.assert_allclose(ours[said], backbone[said], rtol=1e-3, atol=1e-4)
    assert ours[~said].max() < 0.2
