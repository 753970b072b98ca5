import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.datasets import kokoro
from trigger_api.datasets.speech import RATE
from trigger_api.datasets.tts import Line, Voice, say, voices

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@pytest.mark.parametrize(
    ("program", "first"), [("flite", "flite"), ("espeak-ng", "espeak-ng"), ("festival", "text2wave")]
)
def test_every_program_has_its_command_line(program: str, first: str) -> None:
    command = Voice(program, "x").command("hello", Path("out.wav"), tempo=1.25, pitch=0.5)
    assert command[0] == first
    assert "out.wav" in command


def test_a_command_of_ones_own_is_filled_in() -> None:
    voice = Voice("echo {text} --to {out}", "custom")
    assert voice.command("two words", Path("o.wav"), tempo=1, pitch=0.5) == ["echo", "two words", "--to", "o.wav"]
    assert voices("echo {text} --to {out}")[-1] == voice


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo {text}", "write {out}"),
        ("echo {out}", "take {text}"),
        ("not-a-program {text} {out}", "not installed"),
        ("espeak-ng {text} {out} {rate}", "is not a synthesiser"),
        ("echo {text} {out} {}", "is not a synthesiser"),
        ("echo {text} {out} {", "is not a synthesiser"),
    ],
)
def test_a_command_that_cannot_speak_is_refused(command: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        voices(command)


def test_a_program_that_fails_says_nothing(tmp_path: Path) -> None:
    lines = [Line(Voice("false {text} {out}", "a"), "x"), Line(Voice("not-a-program-at-all {out}", "b"), "x")]
    assert say(lines, tmp_path) == [None, None]


def test_what_was_said_is_remembered(tmp_path: Path) -> None:
    tally = tmp_path / "tally"
    soundfile.write(tmp_path / "said.wav", np.ones(RATE) / 2, RATE)
    voice = Voice(f"sh -c 'echo once >> {tally}; cp {tmp_path}/said.wav {{out}}'", "counting")
    for _ in range(2):
        (spoken,) = say([Line(voice, "x")], tmp_path / "cache")
        assert spoken is not None
    assert tally.read_text().count("once") == 1


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    tally = tmp_path / "tally"
    voice = Voice(f"sh -c 'echo once >> {tally}'", "mute")
    for _ in range(2):
        assert say([Line(voice, "x")], tmp_path / "cache") == [None]
    assert tally.read_text().count("once") == 2
    assert not list((tmp_path / "cache").iterdir())


@needs_espeak
def test_espeak_speaks(tmp_path: Path) -> None:
    slow, fast = say([Line(Voice("espeak-ng", "en-us"), "activate", tempo) for tempo in (0.7, 1.4)], tmp_path)
    assert slow is not None
    assert fast is not None
    assert len(slow) > len(fast) > RATE / 4


@needs_espeak
def test_voices_of_other_languages_read_respellings(tmp_path: Path) -> None:
    accents = [voice for voice in voices() if voice.accent]
    assert len(accents) > 40
    (spoken,) = say([Line(accents[0], "aktiveit")], tmp_path)
    assert spoken is not None


@pytest.mark.skipif(not kokoro.available(), reason="Kokoro's network is not installed")
def test_neural_voices_take_phonemes_and_blend(tmp_path: Path) -> None:
    voice = Voice("kokoro", "af_heart+bm_lewis")
    assert voice.takes_phonemes
    (spoken,) = say([Line(voice, "ˈæktᵻvˌeɪt")], tmp_path)
    assert spoken is not None
    assert say([Line(voice, "0")], tmp_path) == [None]
