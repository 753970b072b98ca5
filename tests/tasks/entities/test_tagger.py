from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger_api.tasks.entities.bio import LABELS, spans
from trigger_api.tasks.entities.gazetteers import FEATURES, write_gazetteers
from trigger_api.tasks.entities.tagger import (
    GAZETTEERS_FILE,
    VOCABULARY_FILE,
    Item,
    Outputs,
    Preprocessed,
    Sentence,
    Tagger,
)
from trigger_api.tasks.entities.wordpiece import SPECIALS

VOCABULARY = (*SPECIALS, "i", "love", "paris", "new", "york", "u", "s", ".", ",", "x", "-")
ANY_TEXT = st.text(st.characters() | st.sampled_from(" .-@\nParis\ud800\U0001f600"), max_size=200)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / VOCABULARY_FILE).write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    write_gazetteers(folder / GAZETTEERS_FILE, {"paris": "c", "new york": "c"})
    return Tagger.load(folder, LABELS, (16, 64))


def infer(preprocessed: Preprocessed, label: Callable[[str], str]) -> list[Outputs]:
    return infer_items(preprocessed.items, label)


def infer_items(items: Sequence[Item], label: Callable[[str], str]) -> list[Outputs]:
    """A network that sees nothing but the piece itself."""
    outputs: list[Outputs] = []
    for item in items:
        scores = np.zeros((len(item["pieces"]), len(LABELS)), np.float32)
        for row, piece in enumerate(item["pieces"]):
            scores[row, LABELS.index(label(VOCABULARY[piece]))] = 5
        outputs.append({"scores": scores})
    return outputs


def label_of(piece: str) -> str:
    return {"paris": "B-LOC", "new": "B-LOC", "york": "I-LOC", "u": "B-LOC", "x": "I-PER"}.get(piece, "O")


def tag(tagger: Tagger, text: str) -> list[Sentence]:
    preprocessed = tagger.preprocess(text)
    return tagger.postprocess(preprocessed, infer(preprocessed, label_of))


def tags_of(sentences: Sequence[Sentence]) -> list[str]:
    return [token.tag for sentence in sentences for token in sentence.tokens]


def test_every_word_has_a_tag(tagger: Tagger) -> None:
    (sentence,) = tag(tagger, "I love Paris")
    assert [(token.text, token.tag) for token in sentence.tokens] == [("I", "O"), ("love", "O"), ("Paris", "B-LOC")]


def test_an_entity_of_several_words_is_one_slice(tagger: Tagger) -> None:
    text = "I love\tNew  York, U.S."
    (sentence,) = tag(tagger, text)
    first, second = sentence.entities
    assert (first.type, first.text, first.start, first.end) == ("LOC", "New  York", 7, 16)
    assert second.text == text[second.start : second.end] == "U.S."
    assert first.score == min(token.score for token in sentence.tokens[2:4])
    assert 0.9 < first.score < 1


def test_a_hyphenated_word_is_one_token_unless_a_name_ends_inside_it(tagger: Tagger) -> None:
    text = "I-love Paris-love Paris-Paris"
    (sentence,) = tag(tagger, text)
    assert [(token.text, token.tag) for token in sentence.tokens] == [
        ("I-love", "O"),
        *[("Paris", "B-LOC"), ("-", "O"), ("love", "O")],
        *[("Paris", "B-LOC"), ("-", "O"), ("Paris", "B-LOC")],
    ]
    assert [text[token.start : token.end] for token in sentence.tokens] == [token.text for token in sentence.tokens]


def test_a_hyphenated_name_is_one_token(tagger: Tagger) -> None:
    preprocessed = tagger.preprocess("New-York")
    outputs = infer(preprocessed, lambda piece: "I-LOC" if piece == "-" else label_of(piece))
    ((token,),) = [sentence.tokens for sentence in tagger.postprocess(preprocessed, outputs)]
    assert (token.text, token.start, token.end, token.tag) == ("New-York", 0, 8, "B-LOC")


def test_sentences_are_in_order(tagger: Tagger) -> None:
    sentences = tag(tagger, "I love Paris. I love New York.")
    assert [[entity.text for entity in sentence.entities] for sentence in sentences] == [["Paris"], ["New York"]]


def test_sentences_are_shown_in_context_and_in_isolation(tagger: Tagger) -> None:
    items = tagger.preprocess("I love Paris. York").items
    shown = [[VOCABULARY[row] for row in item["pieces"] if row] for item in items]
    assert shown == [
        ["[CLS]", "i", "love", "paris", ".", "[SEP]", "york", "[SEP]"],
        ["[CLS]", "i", "love", "paris", ".", "[SEP]"],
        ["[CLS]", "york", "[SEP]"],
    ]


def test_scores_in_context_and_in_isolation_are_averaged(tagger: Tagger) -> None:
    preprocessed = tagger.preprocess("Paris. York")
    together, paris, york = [{"scores": np.zeros((16, len(LABELS)), np.float32)} for _ in preprocessed.items]
    together["scores"][:, LABELS.index("B-PER")] = 3
    paris["scores"][:, LABELS.index("B-LOC")] = 2
    york["scores"][:, LABELS.index("B-LOC")] = 4
    first, second = tagger.postprocess(preprocessed, [together, paris, york])
    assert (first.tokens[0].tag, second.tokens[0].tag) == ("B-PER", "B-LOC")
    assert second.tokens[0].score == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1.5) + 7), rel=1e-5)


def test_occurrences_of_a_repeated_name_agree(tagger: Tagger) -> None:
    preprocessed = tagger.preprocess("Paris. I love Paris")
    outputs = infer(preprocessed, label_of)
    for window, output in zip(preprocessed.windows, outputs, strict=True):
        output["scores"][window.rows[window.words == 0], LABELS.index("B-PER")] = 30
    found = [entity for sentence in tagger.postprocess(preprocessed, outputs) for entity in sentence.entities]
    assert [(entity.text, entity.type) for entity in found] == [("Paris", "PER"), ("Paris", "PER")]


def test_a_name_does_not_continue_in_the_next_sentence(tagger: Tagger) -> None:
    words = [["New"], ["York"]]
    windows = list(tagger.windows(words))
    outputs = infer_items([window.item for window in windows], label_of)
    decoded = tagger.decode(words, zip(windows, outputs, strict=True))
    assert [label for label, _ in decoded[0]] == ["B-LOC"]
    assert decoded[1][0][0] != "I-LOC"
    assert not windows[0].item["gazetteers"].any()


def test_many_sentences_are_covered_by_overlapping_windows(tagger: Tagger) -> None:
    preprocessed = tagger.preprocess("I love New York. " * 60)
    assert sum(not window.isolated for window in preprocessed.windows) > 6
    assert sum(window.isolated for window in preprocessed.windows) == 60
    sentences = tagger.postprocess(preprocessed, infer(preprocessed, label_of))
    assert [[entity.text for entity in sentence.entities] for sentence in sentences] == [["New York"]] * 60


def test_an_invalid_tag_is_never_given(tagger: Tagger) -> None:
    assert "I-PER" not in tags_of(tag(tagger, "x love x"))


def test_items_have_the_shortest_length_that_holds_them(tagger: Tagger) -> None:
    (short,) = tagger.preprocess("love " * 14).items
    (long,) = tagger.preprocess("love " * 15).items
    assert [len(item["pieces"]) for item in (short, long)] == [16, 64]
    assert {name: (array.shape, array.dtype.name) for name, array in short.items()} == {
        "pieces": ((16,), "int32"),
        "shapes": ((16,), "int32"),
        "gazetteers": ((16, FEATURES), "float32"),
    }


def test_features_of_known_names_are_at_their_pieces(tagger: Tagger) -> None:
    (item,) = tagger.preprocess("love Paris").items
    assert [VOCABULARY[row] for row in item["pieces"][:5]] == ["[CLS]", "love", "paris", "[SEP]", "[PAD]"]
    assert np.flatnonzero(item["gazetteers"].any(axis=1)).tolist() == [2]
    assert np.flatnonzero(item["shapes"]).tolist() == [1, 2]


def test_a_long_sentence_is_covered_by_overlapping_windows(tagger: Tagger) -> None:
    text = "love " * 200 + "New York " + "love " * 200
    preprocessed = tagger.preprocess(text)
    assert len(preprocessed.windows) > 6
    (sentence,) = tagger.postprocess(preprocessed, infer(preprocessed, label_of))
    assert [entity.text for entity in sentence.entities] == ["New York"]
    assert len(sentence.tokens) == 402


def test_a_word_is_scored_in_the_window_with_most_of_its_context(tagger: Tagger) -> None:
    preprocessed = tagger.preprocess(" ".join(f"w{index}" for index in range(70)))
    first, second = preprocessed.windows
    outputs = [{"scores": np.zeros((64, len(LABELS)), np.float32)} for _ in preprocessed.windows]
    outputs[0]["scores"][:, LABELS.index("B-LOC")] = 1
    outputs[1]["scores"][:, LABELS.index("B-ORG")] = 1
    tags = tags_of(tagger.postprocess(preprocessed, outputs))
    center = (int(first.words[-1]) + int(second.words[0])) // 2
    assert tags[center - 2] == "B-LOC"
    assert tags[center + 3] == "B-ORG"


def test_blank_text_has_no_items(tagger: Tagger) -> None:
    assert tagger.preprocess(" \n ").items == []
    assert tag(tagger, "") == []


def test_windows_too_short_to_overlap_are_rejected(tagger: Tagger) -> None:
    with pytest.raises(ValueError, match="64 pieces"):
        Tagger(LABELS, (16,), tagger.wordpieces, tagger.gazetteers)


@given(ANY_TEXT)
@settings(max_examples=1_000, deadline=None)
def test_for_any_text_offsets_are_exact_and_tags_are_valid(tagger: Tagger, text: str) -> None:
    sentences = tag(tagger, text)
    assert all(text[t.start : t.end] == t.text for s in sentences for t in s.tokens)
    assert all(text[e.start : e.end] == e.text for s in sentences for e in s.entities)
    for sentence in sentences:
        named = spans([token.tag for token in sentence.tokens])
        assert sum(span.last - span.first for span in named) == sum(token.tag != "O" for token in sentence.tokens)
        assert len(named) == len(sentence.entities)


def test_missing_assets_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=VOCABULARY_FILE):
        Tagger.load(tmp_path, LABELS, (16, 64))
