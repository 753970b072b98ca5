from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.datasets.speech import RATE
from trigger_api.training.trigger.collect import Sources, collect, is_held_out, read_all

NO_VOICES = ("flite", "festival", "espeak-ng", "kokoro", "piper")


def steps(what: str, part: float = 0.0) -> None:
    """Nobody watches."""


def sources(word: Iterable[Path] = (), other: Iterable[Path] = (), noise: Iterable[Path] = ()) -> Sources:
    return Sources("beep", tuple(word), tuple(other), tuple(noise), without=NO_VOICES)


def test_recordings_are_collected_without_any_synthesiser(folders: dict[str, Path], tmp_path: Path) -> None:
    given = sources([folders["word"]], [folders["other"]], [folders["noise"]])
    material = collect(given, tmp_path / "cache", 0, steps)
    assert len(material.real) == 4
    assert not material.synthetic
    assert len(material.people) + len(material.held_out) == 12
    assert 0 < len(material.held_out) < 6
    assert len(material.noise) == 4
    assert len(material.pools(material.real).words) == 4


def test_all_of_a_speaker_is_held_out_or_none() -> None:
    speakers = {f"speaker{number}" for number in range(60)}
    held = {name: {is_held_out(Path(f"{name}_{clip}.wav")) for clip in range(5)} for name in speakers}
    assert all(len(answers) == 1 for answers in held.values())
    assert 3 < sum(answers == {True} for answers in held.values()) < 20


def test_what_is_left_out_is_not_read(folders: dict[str, Path]) -> None:
    given = Sources("beep", without=("2_*", "*/other/*"))
    found = given.files([folders["word"], folders["other"]])
    assert [path.name for path in found] == ["0_word.wav", "1_word.wav", "3_word.wav"]


@pytest.mark.slow
def test_words_near_in_sound_may_be_left_out() -> None:
    pytest.importorskip("pocketsphinx")
    assert "captivate" in Sources("activate").near()
    assert "captivate" not in Sources("activate", without=("captivate",)).near()


@pytest.mark.slow
def test_what_no_ear_can_tell_apart_is_not_taught() -> None:
    pytest.importorskip("pocketsphinx")
    assert "active eight" not in Sources("activate").near()
    assert "reactivate" in Sources("activate").near()


def test_nobody_says_the_word(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody says the word"):
        collect(sources(other=[folders["other"]]), tmp_path, 0, steps)


def test_nobody_says_anything_else(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is said but the word"):
        collect(sources([folders["word"]]), tmp_path, 0, steps)


def test_what_was_given_must_be_of_use(folders: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="none of the recordings"):
        collect(sources([empty], [folders["other"]]), tmp_path, 0, steps)
    with pytest.raises(ValueError, match="no recording that can be read"):
        collect(sources([folders["word"]], [empty]), tmp_path, 0, steps)


def test_silence_is_not_the_word(folders: dict[str, Path], tmp_path: Path) -> None:
    silent = np.random.default_rng(0).integers(-1, 2, 2 * RATE) / 32_768
    soundfile.write(folders["word"] / "dithered.wav", silent, RATE)
    soundfile.write(folders["word"] / "zeros.wav", np.zeros(2 * RATE), RATE)
    material = collect(sources([folders["word"]], [folders["other"]]), tmp_path / "cache", 0, steps)
    assert len(material.real) == 4


def test_a_broken_file_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    soundfile.write(tmp_path / "infinite.wav", np.full(RATE, np.inf), RATE, subtype="FLOAT")
    assert read_all([tmp_path / "broken.wav", tmp_path / "infinite.wav"]) == []
