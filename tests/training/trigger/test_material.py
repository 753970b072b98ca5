from pathlib import Path

import pytest

from trigger_api.training.trigger.material import Sources, gather, read_all

NO_PROGRAMS = ("flite", "festival", "espeak-ng")


def steps(_: str) -> None:
    """Nobody watches."""


def test_recordings_are_gathered_without_any_program(folders: dict[str, Path], tmp_path: Path) -> None:
    sources = Sources("beep", folders["word"], (folders["other"],), (folders["noise"],), without=NO_PROGRAMS)
    material = gather(sources, tmp_path / "cache", 0, steps)
    assert len(material.real) == 4
    assert not material.synthetic
    assert len(material.rest.speech) == 3
    assert len(material.held_out.speech) == 1
    assert len(material.rest.noise) == 4
    assert len(material.pools(material.words).words) == 4


def test_what_is_left_out_is_not_read(folders: dict[str, Path]) -> None:
    sources = Sources("beep", without=("2_*", "*/other/*"))
    found = sources.files([folders["word"], folders["other"]])
    assert [path.name for path in found] == ["0_word.wav", "1_word.wav", "3_word.wav"]


def test_words_near_in_sound_may_be_left_out() -> None:
    pytest.importorskip("pocketsphinx")
    assert "captivate" in Sources("activate").near()
    assert "captivate" not in Sources("activate", without=("captivate",)).near()


def test_nobody_says_the_word(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody says the word"):
        gather(Sources("beep", None, (folders["other"],), without=NO_PROGRAMS), tmp_path, 0, steps)


def test_nobody_says_anything_else(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is said but the word"):
        gather(Sources("beep", folders["word"], without=NO_PROGRAMS), tmp_path, 0, steps)


def test_a_broken_file_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    assert read_all([tmp_path / "broken.wav"]) == []
