import lzma
from pathlib import Path

import pytest

from trigger_api.datasets.conll import Sample, read_conll

TEXT = "-DOCSTART- O\n\nI O\nlove O\nParis B-LOC\n\n-DOCSTART- O\n\nBob\tB-PER\n"
SAMPLES = [Sample(("I", "love", "Paris"), ("O", "O", "B-LOC"), 1), Sample(("Bob",), ("B-PER",), 2)]


def test_plain_and_compressed_files_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(TEXT, encoding="utf-8")
    (tmp_path / "a.conll.xz").write_bytes(lzma.compress(TEXT.encode()))
    assert read_conll(tmp_path / "a.conll") == read_conll(tmp_path / "a.conll.xz") == SAMPLES


def test_a_word_without_a_tag_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Paris\n", encoding="utf-8")
    with pytest.raises(ValueError, match="Paris"):
        read_conll(tmp_path / "a.conll")


def test_an_empty_file_has_no_samples(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("", encoding="utf-8")
    assert read_conll(tmp_path / "a.conll") == []
