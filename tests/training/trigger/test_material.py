from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.training.trigger import material as module
from trigger_api.training.trigger.material import Sources, gather, read_all
from trigger_api.training.trigger.phones import Utterance
from trigger_api.training.trigger.recordings import RATE, Spoken
from trigger_api.training.trigger.speech import Voice
from trigger_api.training.trigger.splices import Splices

NO_PROGRAMS = ("flite", "festival", "espeak-ng")
ONE_VOICE = [Voice("espeak-ng", "en-us")]  # of eighty, each of which takes its time


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


@pytest.mark.parametrize(("heard", "seconds"), [((0.4, 0.6), 0.2), ((0.3, 0.7), 0.6), (None, 0.6)])
def test_what_sounds_long_before_or_after_the_word_is_cut_off(
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    heard: tuple[float, float] | None,
    seconds: float,
) -> None:
    span = heard and (int(heard[0] * RATE), int(heard[1] * RATE))
    monkeypatch.setattr(module, "_BEYOND", RATE // 6)
    monkeypatch.setattr(module, "pronounced", lambda _: ("B", "IY", "P"))
    monkeypatch.setattr(module, "aligned_span", lambda *_: span)
    material = gather(Sources("beep", folders["word"], (folders["other"],), without=NO_PROGRAMS), tmp_path, 0, steps)
    assert [one.end / RATE for one in material.real] == pytest.approx([seconds] * 4, abs=0.05)


def test_what_is_left_out_is_not_read(folders: dict[str, Path]) -> None:
    sources = Sources("beep", without=("2_*", "*/other/*"))
    found = sources.files([folders["word"], folders["other"]])
    assert [path.name for path in found] == ["0_word.wav", "1_word.wav", "3_word.wav"]


def test_words_near_in_sound_may_be_left_out() -> None:
    pytest.importorskip("pocketsphinx")
    assert "captivate" in Sources("activate").near()
    assert "captivate" not in Sources("activate", without=("captivate",)).near()


def test_words_that_hold_the_phrase_are_not_spliced() -> None:
    pytest.importorskip("pocketsphinx")
    words = Sources("computer", without=("commuter",)).unlike()
    assert "compute" in words
    assert not {"computer", "computers", "microcomputer", "commuter"} & set(words)


def test_where_no_recording_is_given_the_word_is_spliced(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken, other = Spoken(np.ones(RATE, np.float32), RATE), np.ones(RATE // 2, np.float32)
    monkeypatch.setattr(module, "pronounced", lambda _: ("B", "IY", "P"))
    monkeypatch.setattr(module, "voices", lambda _: ONE_VOICE)
    monkeypatch.setattr(module, "labelled", lambda *_: [])
    monkeypatch.setattr(module, "splices", lambda *_: Splices([spoken], [other]))
    sources = Sources("beep", None, (folders["other"],), (folders["noise"],))
    material = gather(sources, tmp_path / "cache", 0, steps)
    assert material.real == [spoken]
    assert material.rest.others[-1] is other
    recorded = gather(replace(sources, recordings=folders["word"]), tmp_path / "cache", 0, steps)
    assert len(recorded.real) == 4
    assert all(clip is not other for clip in recorded.rest.others)


def test_no_more_is_listened_to_than_takes_minutes(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = list[list[Path]]()

    def listened(paths: list[Path], folder: Path) -> list[Utterance]:
        heard.append(paths)
        return []

    (folders["other"] / "broken.wav").write_bytes(b"no audio")
    monkeypatch.setattr(module, "pronounced", lambda _: ("B", "IY", "P"))
    monkeypatch.setattr(module, "voices", lambda _: ONE_VOICE)
    monkeypatch.setattr(module, "labelled", listened)
    monkeypatch.setattr(module, "splices", lambda *_: Splices())
    sources = Sources("beep", None, (folders["other"],), (folders["noise"],))
    for most in (3_600.0, 1e-3):
        monkeypatch.setattr(module, "_LISTENED", most)
        gather(sources, tmp_path / "cache", 0, steps)
    good = [path for path in sources.files(sources.negatives) if path.stem != "broken"]
    assert heard[0] == good
    assert len(heard[1]) == 1


def test_nobody_says_the_word(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody says the word"):
        gather(Sources("beep", None, (folders["other"],), without=NO_PROGRAMS), tmp_path, 0, steps)


def test_nobody_says_anything_else(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is said but the word"):
        gather(Sources("beep", folders["word"], without=NO_PROGRAMS), tmp_path, 0, steps)


def test_what_was_given_must_be_of_use(folders: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="none of the recordings"):
        gather(Sources("beep", empty, (folders["other"],), without=NO_PROGRAMS), tmp_path, 0, steps)
    with pytest.raises(ValueError, match="no recording that can be read"):
        gather(Sources("beep", folders["word"], (empty,), without=NO_PROGRAMS), tmp_path, 0, steps)


def test_silence_is_not_the_word(folders: dict[str, Path], tmp_path: Path) -> None:
    silent = np.random.default_rng(0).integers(-1, 2, 2 * RATE) / 32_768
    soundfile.write(folders["word"] / "dithered.wav", silent, RATE)
    soundfile.write(folders["word"] / "zeros.wav", np.zeros(2 * RATE), RATE)
    sources = Sources("beep", folders["word"], (folders["other"],), without=NO_PROGRAMS)
    assert len(gather(sources, tmp_path / "cache", 0, steps).real) == 4
    with pytest.raises(ValueError, match="nobody speaks there"):
        gather(replace(sources, without=(*NO_PROGRAMS, "*_word")), tmp_path / "cache", 0, steps)


def test_a_broken_file_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    soundfile.write(tmp_path / "infinite.wav", np.full(RATE, np.inf), RATE, subtype="FLOAT")
    assert read_all([tmp_path / "broken.wav", tmp_path / "infinite.wav"]) == []
