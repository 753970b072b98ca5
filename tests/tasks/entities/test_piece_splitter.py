from __future__ import annotations

from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from trigger_api.registry import BUNDLED
from trigger_api.tasks.entities.piece_splitter import Piece, PieceSplitter
from trigger_api.tasks.entities.tagger import VOCABULARY_FILE
from trigger_api.tasks.entities.wordpiece import UNKNOWN

VOCABULARY = (BUNDLED / "entities/minilm/1" / VOCABULARY_FILE).read_text(encoding="utf-8").rstrip("\n").split("\n")
ROWS = {piece: row for row, piece in enumerate(VOCABULARY)}
SPLITTER = PieceSplitter(ROWS, ROWS[UNKNOWN])

REFERENCE = Tokenizer(WordPiece(ROWS, unk_token=UNKNOWN, max_input_chars_per_word=100))
REFERENCE.normalizer = BertNormalizer(lowercase=True)
REFERENCE.pre_tokenizer = BertPreTokenizer()


def reference(text: str) -> list[Piece]:
    encoding = REFERENCE.encode(text, add_special_tokens=False)
    return [(row, start, end) for row, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "unbelievable", "McDonald's", "Ünïcödé", "İstanbul", "ΣΊΣΥΦΟΣ", "東京Tower", "a\tb\u00a0c", "\u200bx", "$5.00",
        "x" * 101, "ﬁne", "e\u0301te\u0301", "¿qué?", "½", "№", "naïveté", "\U0001f600", "\ufffd", "ß", "ǅ", "",
    ],
)  # fmt: skip
def test_words_are_split_as_by_the_library(text: str) -> None:
    assert SPLITTER.split(text) == reference(text)


CATEGORIES: Final = ("L", "N", "P", "S", "Z", "Mn")
# Where Unicode has not added letters of late: the library and Python know different versions of it.
LETTERS = st.characters(min_codepoint=1, max_codepoint=0x52F, categories=CATEGORIES) | st.characters(
    min_codepoint=0x1E00, max_codepoint=0x20BF, categories=CATEGORIES
)


@given(st.text(LETTERS, max_size=20))
@example("AT&T-owned")
def test_any_text_is_split_as_by_the_library(text: str) -> None:
    assert SPLITTER.split(text) == reference(text)
