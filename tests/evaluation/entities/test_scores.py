import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.datasets.conll import Sample
from trigger_api.evaluation.entities.scores import Score, compare
from trigger_api.tasks.entities.bio import LABELS


def sample(tags: str) -> Sample:
    return Sample(tuple(tags.split()), tuple(tags.split()))


def test_a_span_counts_only_whole_and_of_its_type() -> None:
    wanted = [sample("B-PER I-PER O B-LOC"), sample("B-ORG O B-MISC")]
    report = compare(wanted, [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "O", "B-MISC"]])
    assert report.overall == Score(hits=2, found=4, wanted=4)
    assert report.types["LOC"] == Score(1, 2, 1)
    assert report.types["LOC"].figures() == {"precision": 50.0, "recall": 100.0, "f1": 66.67, "spans": 1}
    assert [each.tags for each, _ in report.errors] == [each.tags for each in wanted]


def test_other_types_are_dropped_from_both_sides() -> None:
    report = compare([sample("B-MISC B-PER")], [["B-LOC", "B-MISC"]], ("PER", "LOC"))
    assert report.overall == Score(hits=0, found=1, wanted=1)
    assert list(report.figures()) == ["overall", "PER", "LOC"]


def test_nothing_found_is_nought_and_no_error() -> None:
    assert Score(0, 0, 0).figures() == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "spans": 0}


@settings(deadline=None)  # the first call imports seqeval
@given(st.lists(st.lists(st.tuples(*[st.sampled_from(LABELS)] * 2), min_size=1, max_size=8), min_size=1, max_size=4))
def test_counting_is_that_of_seqeval(pairs: list[list[tuple[str, str]]]) -> None:
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    scheme = pytest.importorskip("seqeval.scheme").IOB2
    wanted = [[left for left, _ in each] for each in pairs]
    found = [[right for _, right in each] for each in pairs]
    report = compare([Sample(tuple(tags), tuple(tags)) for tags in wanted], found)
    theirs = metrics.f1_score(wanted, found, mode="strict", scheme=scheme, zero_division=0)
    assert report.overall.f1 == pytest.approx(100 * theirs)
