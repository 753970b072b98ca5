from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.routers.compat.columns import aligned
from trigger_api.tasks.entities.bio import LABELS, spans
from trigger_api.tasks.entities.gazetteers import FEATURES, write_gazetteers
from trigger_api.tasks.entities.tagger import (
    GAZETTEERS_FILE,
    VOCABULARY_FILE,
    Item,
    Outputs,
    Prepared,
    Sentence,
    Tagger,
)
from trigger_api.tasks.entities.wordpiece import SPECIALS

VOCABULARY = (*SPECIALS, "i", "love", "paris", "new", "york", "u", "s", ".", ",", "x")
ANY_TEXT = st.text(st.characters() | st.sampled_from(" .\nParis\ud800\U0001f600"), max_size=200)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / VOCABULARY_FILE).write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    write_gazetteers(folder / GAZETTEERS_FILE, {"paris": "c", "new york": "c"})
    return Tagger.load(folder, LABELS, (16, 64))


def run(prepared: Prepared, label: Callable[[str], str]) -> list[Outputs]:
    return run_items(prepared.items, label)


def run_items(items: Sequence[Item], label: Callable[[str], str]) -> list[Outputs]:
    """A network that looks at nothing but the piece itself."""
    outputs: list[Outputs] = []
    for item in items:
        scores = np.zeros((len(item["pieces"]), len(LABELS)), np.float32)
        for row, piece in enumerate(item["pieces"]):
            scores[row, LABELS.index(label(VOCABULARY[piece]))] = 5
        outputs.append({"scores": scores})
    return outputs


def places(piece: str) -> str:
    return {"paris": "B-LOC", "new": "B-LOC", "york": "I-LOC", "u": "B-LOC", "x": "I-PER"}.get(piece, "O")


def read(tagger: Tagger, text: str) -> list[Sentence]:
    prepared = tagger.prepare(text)
    return tagger.read(prepared, run(prepared, places))


def tags(sentences: Sequence[Sentence]) -> list[str]:
    return [token.tag for sentence in sentences for token in sentence.tokens]


def test_the_original_sentence(tagger: Tagger) -> None:
    (sentence,) = read(tagger, "I love Paris")
    assert aligned([(token.text, token.tag) for token in sentence.tokens]) == ("I love Paris ", "O O    B-LOC ")


def test_an_entity_of_several_words_is_one_slice(tagger: Tagger) -> None:
    text = "I love\tNew  York, U.S."
    (sentence,) = read(tagger, text)
    first, second = sentence.entities
    assert (first.type, first.text, first.start, first.end) == ("LOC", "New  York", 7, 16)
    assert second.text == text[second.start : second.end] == "U.S."
    assert first.score == min(token.score for token in sentence.tokens[2:4])
    assert 0.9 < first.score < 1


def test_sentences_are_read_in_order(tagger: Tagger) -> None:
    sentences = read(tagger, "I love Paris. I love New York.")
    assert [[entity.text for entity in sentence.entities] for sentence in sentences] == [["Paris"], ["New York"]]


def test_sentences_are_shown_among_their_neighbours_and_by_themselves(tagger: Tagger) -> None:
    items = tagger.prepare("I love Paris. York").items
    shown = [[VOCABULARY[row] for row in item["pieces"] if row] for item in items]
    assert shown == [
        ["[CLS]", "i", "love", "paris", ".", "[SEP]", "york", "[SEP]"],
        ["[CLS]", "i", "love", "paris", ".", "[SEP]"],
        ["[CLS]", "york", "[SEP]"],
    ]


def test_the_mean_of_both_readings_counts(tagger: Tagger) -> None:
    prepared = tagger.prepare("Paris. York")
    together, paris, york = [{"scores": np.zeros((16, len(LABELS)), np.float32)} for _ in prepared.items]
    together["scores"][:, LABELS.index("B-PER")] = 3
    paris["scores"][:, LABELS.index("B-LOC")] = 2
    york["scores"][:, LABELS.index("B-LOC")] = 4
    first, second = tagger.read(prepared, [together, paris, york])
    assert (first.tokens[0].tag, second.tokens[0].tag) == ("B-PER", "B-LOC")
    assert second.tokens[0].score == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1.5) + 7), rel=1e-5)


def test_places_of_a_repeated_name_agree(tagger: Tagger) -> None:
    prepared = tagger.prepare("Paris. I love Paris")
    outputs = run(prepared, places)
    for window, output in zip(prepared.windows, outputs, strict=True):
        output["scores"][window.rows[window.words == 0], LABELS.index("B-PER")] = 30
    found = [entity for sentence in tagger.read(prepared, outputs) for entity in sentence.entities]
    assert [(entity.text, entity.type) for entity in found] == [("Paris", "PER"), ("Paris", "PER")]


def test_a_name_does_not_go_on_in_the_next_sentence(tagger: Tagger) -> None:
    words = [["New"], ["York"]]
    windows = list(tagger.windows(words))
    outputs = run_items([window.item for window in windows], places)
    decided = tagger.decide(words, zip(windows, outputs, strict=True))
    assert [label for label, _ in decided[0]] == ["B-LOC"]
    assert decided[1][0][0] != "I-LOC"
    assert not windows[0].item["gazetteers"].any()


def test_many_sentences_are_seen_through_overlapping_windows(tagger: Tagger) -> None:
    prepared = tagger.prepare("I love New York. " * 60)
    assert sum(not window.apart for window in prepared.windows) > 6
    assert sum(window.apart for window in prepared.windows) == 60
    sentences = tagger.read(prepared, run(prepared, places))
    assert [[entity.text for entity in sentence.entities] for sentence in sentences] == [["New York"]] * 60


def test_an_illegal_tag_is_never_given(tagger: Tagger) -> None:
    assert "I-PER" not in tags(read(tagger, "x love x"))


def test_items_have_the_shortest_length_that_holds_them(tagger: Tagger) -> None:
    (short,) = tagger.prepare("love " * 14).items
    (long,) = tagger.prepare("love " * 15).items
    assert [len(item["pieces"]) for item in (short, long)] == [16, 64]
    assert {name: (array.shape, array.dtype.name) for name, array in short.items()} == {
        "pieces": ((16,), "int32"),
        "shapes": ((16,), "int32"),
        "gazetteers": ((16, FEATURES), "float32"),
    }


def test_known_names_and_frames_are_where_they_belong(tagger: Tagger) -> None:
    (item,) = tagger.prepare("love Paris").items
    assert [VOCABULARY[row] for row in item["pieces"][:5]] == ["[CLS]", "love", "paris", "[SEP]", "[PAD]"]
    assert np.flatnonzero(item["gazetteers"].any(axis=1)).tolist() == [2]
    assert np.flatnonzero(item["shapes"]).tolist() == [1, 2]


def test_a_long_sentence_is_seen_through_overlapping_windows(tagger: Tagger) -> None:
    text = "love " * 200 + "New York " + "love " * 200
    prepared = tagger.prepare(text)
    assert len(prepared.windows) > 6
    (sentence,) = tagger.read(prepared, run(prepared, places))
    assert [entity.text for entity in sentence.entities] == ["New York"]
    assert len(sentence.tokens) == 402


def test_a_word_is_decided_where_most_of_its_surroundings_show(tagger: Tagger) -> None:
    prepared = tagger.prepare(" ".join(f"w{index}" for index in range(70)))
    first, second = prepared.windows
    outputs = [{"scores": np.zeros((64, len(LABELS)), np.float32)} for _ in prepared.windows]
    outputs[0]["scores"][:, LABELS.index("B-LOC")] = 1
    outputs[1]["scores"][:, LABELS.index("B-ORG")] = 1
    given_tags = tags(tagger.read(prepared, outputs))
    middle = (int(first.words[-1]) + int(second.words[0])) // 2
    assert given_tags[middle - 2] == "B-LOC"
    assert given_tags[middle + 3] == "B-ORG"


def test_blank_text_has_no_items(tagger: Tagger) -> None:
    assert tagger.prepare(" \n ").items == []
    assert read(tagger, "") == []


def test_windows_too_short_to_overlap_are_refused(tagger: Tagger) -> None:
    with pytest.raises(ValueError, match="64 pieces"):
        Tagger(LABELS, (16,), tagger.wordpieces, tagger.gazetteers)


@given(ANY_TEXT)
@settings(max_examples=1_000, deadline=None)
def test_whatever_the_text_offsets_slice_it_and_tags_are_legal(tagger: Tagger, text: str) -> None:
    sentences = read(tagger, text)
    assert all(text[t.start : t.end] == t.text for s in sentences for t in s.tokens)
    assert all(text[e.start : e.end] == e.text for s in sentences for e in s.entities)
    for sentence in sentences:
        named = spans([token.tag for token in sentence.tokens])
        assert sum(span.last - span.first for span in named) == sum(token.tag != "O" for token in sentence.tokens)
        assert len(named) == len(sentence.entities)


def test_missing_assets_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=VOCABULARY_FILE):
        Tagger.load(tmp_path, LABELS, (16, 64))
