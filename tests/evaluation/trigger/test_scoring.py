import numpy as np
import pytest

from helpers.tiny_word import detector, sound
from trigger_api.datasets.speech import Samples
from trigger_api.evaluation.trigger.scoring import Clip, EvaluationRun, Word, percentile_ms, score, without_word

WORD = Word(1.0, 1.2, 1.7)


def said(*beeps: tuple[float, float], negative_s: float = 0.0, **known: str) -> tuple[Clip, Samples]:
    kinds = (known.pop("kind"),) if "kind" in known else ()
    return Clip("said", negative_s, WORD, kinds=kinds, **known), sound(*beeps)


def others(*beeps: tuple[float, float]) -> tuple[Clip, Samples]:
    return without_word("others", sound(*beeps))


def test_a_word_heard_in_time_is_a_hit() -> None:
    point = score(detector(delay_ms=80), [said((1.04, 0.9)), said((1.04, 0.4)), said((2.0, 0.9)), others()]).at(0.5)
    assert (len(point.hits), len(point.missed), len(point.false_accepts)) == (1, 2, 0)
    assert point.miss_rate.value == pytest.approx(2 / 3)
    assert point.delays == pytest.approx([-0.08])  # with the 80 ms that are taken off the timestamp
    assert point.hours == pytest.approx(4 / 3_600)


def test_every_activation_without_the_word_is_a_false_accept() -> None:
    run = score(detector(), [others((0.56, 0.9), (2.0, 0.6), (2.24, 0.9)), others((3.2, 0.6))])
    point = run.at(0.5)
    assert [(one.clip, one.time_s, round(one.score, 1)) for one in point.false_accepts] == [
        ("others", 0.64, 0.9),
        ("others", 2.08, 0.6),  # the next falls into its refractory time
        ("others", 3.28, 0.6),
    ]
    assert point.false_accept_rate.value == pytest.approx(3 / 8 * 3_600)


def test_what_comes_before_a_word_in_a_sentence_is_without_it() -> None:
    sentence = said((0.4, 0.9), (1.04, 0.9), (2.4, 0.9), negative_s=0.9)
    point = score(detector(), [sentence, said((0.4, 0.9), (1.04, 0.9))]).at(0.5)
    assert (len(point.hits), len(point.false_accepts)) == (2, 1)
    assert point.hours == pytest.approx(0.9 / 3_600)


@pytest.fixture(scope="module")
def many() -> EvaluationRun:
    rng = np.random.default_rng(1)
    clips = [others(*zip(rng.uniform(0, 3.8, 6), rng.uniform(0, 1, 6), strict=True)) for _ in range(20)]
    return score(detector(), [*clips, said((1.04, 0.95)), said((0.4, 0.97), (1.04, 0.5), negative_s=0.9)])


def test_thresholds_are_the_lowest_that_allow_so_many(many: EvaluationRun) -> None:
    thresholds = many.thresholds(12)
    assert thresholds == sorted(thresholds, reverse=True)
    for allowed, threshold in enumerate(thresholds):
        assert len(many.at(threshold).false_accepts) <= allowed
        assert len(many.at(threshold - 1e-3).false_accepts) > allowed


def test_one_more_allowed_than_there_are_takes_the_lowest_peak() -> None:
    run = score(detector(patience=2), [others((1.04, 0.5))])
    assert len(run.at(run.thresholds(0)[0]).false_accepts) == 0
    assert len(run.thresholds(500)) == 501


def test_a_score_alone_counts_for_nothing_where_two_are_needed() -> None:
    run = score(detector(patience=2), [(Clip("one", 4.0), sound((1.04, 0.9))[: 14 * 1_280])])
    assert run.thresholds(0)[0] < 0.1


def test_points_tell_kinds_and_speakers_apart() -> None:
    heard, unheard = ((1.04, 0.9),), ((1.04, 0.4),)
    clips = [
        said(*heard, kind="alone", speaker="ann"),
        said(*heard, kind="sentence", speaker="ann"),
        said(*heard, kind="alone", speaker="bob"),
        said(*unheard, kind="alone", speaker="bob"),
        said(*unheard, kind="alone", speaker="cid"),
        said(*unheard, kind="alone"),
    ]
    point = score(detector(), clips).at(0.5)
    assert point.speakers == {"all": 1, "some": 1, "none": 1}
    assert (point.of_kind("alone").words, len(point.of_kind("alone").hits)) == (5, 2)
    assert len(point.of_kind("sentence").delays) == point.of_kind("sentence").words == 1


def test_conditions_are_drawn_from_the_seed() -> None:
    def noisy(samples: Samples, rng: np.random.Generator) -> Samples:
        return (samples + 0.1 * rng.standard_normal(len(samples))).astype(np.float32)

    first, again, other = (score(detector(), [others()], noisy, seed).clips[0].scores for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_percentile_of_nothing_is_none() -> None:
    assert percentile_ms([], 50) is None
    assert percentile_ms([0.1, 0.2, 0.3], 50) == 200
