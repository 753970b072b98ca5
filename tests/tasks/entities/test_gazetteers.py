from pathlib import Path

import numpy as np
import pytest

from trigger_api.tasks.entities.gazetteers import FEATURES, KINDS, Gazetteers, parts, write_gazetteers

ORDER = list(KINDS)


@pytest.fixture
def gazetteers() -> Gazetteers:
    return Gazetteers({"st louis": "c", "louis": "fs", "al zaman": "o"})


def found(marks: np.ndarray) -> list[str]:
    """Each word's kinds, those it begins in capitals and those it goes on with in small letters."""
    half = len(ORDER)
    return ["".join(k.upper() * bool(row[i]) + k * bool(row[half + i]) for i, k in enumerate(ORDER)) for row in marks]


def test_names_are_found_however_they_were_split(gazetteers: Gazetteers) -> None:
    assert found(gazetteers.match(["in", "St.", "Louis"])) == ["", "C", "cFS"]
    assert found(gazetteers.match(["ST", ".", "LOUIS"])) == ["C", "c", "cFS"]
    assert found(gazetteers.match(["Al-Zaman"])) == ["O"]


def test_nothing_is_found_in_nothing(gazetteers: Gazetteers) -> None:
    assert gazetteers.match([]).shape == (0, FEATURES)
    assert not gazetteers.match(["-", "\ud800", "zebra"]).any()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_gazetteers(tmp_path / "names.tsv.xz", {"paris": "cf", "zürich": "c"})
    assert found(Gazetteers.load(tmp_path / "names.tsv.xz").match(["ZÜRICH", "Paris"])) == ["C", "CF"]


def test_parts_are_letters_and_digits_in_small_letters() -> None:
    assert parts("St. Louis-7") == ["st", "louis", "7"]
