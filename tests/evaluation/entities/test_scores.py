import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from helpers.tiny_ner import PlaceModel, add_tiny_ner
from trigger_api import service
from trigger_api.cli.main import app
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
    assert [row[0] for row in report.table().rows] == ["overall", "PER", "LOC"]


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


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_tiny_ner(tmp_path / "1")
    monkeypatch.setattr(service, "load", lambda *_, **__: PlaceModel())
    file = tmp_path / "places.conll"
    file.write_text("I O\nlove O\nParis B-LOC\n\nRome B-LOC\nI B-PER\n", encoding="utf-8")
    command = ["evaluate", "entities", str(file), "--model", str(tmp_path / "1")]
    for options in ([], ["--isolated"], ["--lowercase"]):
        printed = CliRunner().invoke(app, [*command, *options, "--json"])
        assert printed.exit_code == 0, printed.output
        figures = json.loads(printed.stdout)
        assert figures["overall"] == {"precision": 100, "recall": 66.67, "f1": 80, "spans": 3}
    assert "66.67" in CliRunner().invoke(app, command).stdout
    assert CliRunner().invoke(app, [*command[:-1], str(tmp_path)]).exit_code == 0, "a folder of models will do"
