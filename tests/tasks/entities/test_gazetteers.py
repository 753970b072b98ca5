from pathlib import Path

import numpy as np
import pytest

from trigger_api.tasks.entities.gazetteers import FEATURES, KINDS, Gazetteers, normalise_tokens, write_gazetteers

ORDER = list(KINDS)


@pytest.fixture
def gazetteers() -> Gazetteers:
    return Gazetteers({"st louis": "c", "louis": "fs", "al zaman": "o"})


def kinds_of(rows: np.ndarray) -> list[str]:
    """Each word's kinds: upper case where a name begins, lower case where it continues."""
    half = len(ORDER)
    return ["".join(k.upper() * bool(row[i]) + k * bool(row[half + i]) for i, k in enumerate(ORDER)) for row in rows]


def test_names_are_found_however_they_were_split(gazetteers: Gazetteers) -> None:
    assert kinds_of(gazetteers.match(["in", "St.", "Louis"])) == ["", "C", "cFS"]
    assert kinds_of(gazetteers.match(["ST", ".", "LOUIS"])) == ["C", "c", "cFS"]
    assert kinds_of(gazetteers.match(["Al-Zaman"])) == ["O"]


def test_unknown_words_have_no_features(gazetteers: Gazetteers) -> None:
    assert gazetteers.match([]).shape == (0, FEATURES)
    assert not gazetteers.match(["-", "\ud800", "zebra"]).any()


def test_a_written_file_can_be_read(tmp_path: Path) -> None:
    write_gazetteers(tmp_path / "names.tsv.xz", {"paris": "cf", "zürich": "c"})
    assert kinds_of(Gazetteers.load(tmp_path / "names.tsv.xz").match(["ZÜRICH", "Paris"])) == ["C", "CF"]


def test_tokens_are_letters_and_digits_in_lower_case() -> None:
    assert normalise_tokens("St. Louis-7") == ["st", "louis", "7"]
