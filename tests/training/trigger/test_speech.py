import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trigger_api.training.trigger import sentences
from trigger_api.training.trigger.recordings import RATE
from trigger_api.training.trigger.speech import Line, Voice, say, voices

needs_flite = pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
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
        ("echo {text}", "writes {out}"),
        ("echo {out}", "takes {text}"),
        ("not-a-program {text} {out}", "not installed"),
        ("espeak-ng {text} {out} {rate}", "is no synthesiser"),
        ("echo {text} {out} {}", "is no synthesiser"),
        ("echo {text} {out} {", "is no synthesiser"),
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


@needs_flite
def test_flite_tells_when_the_word_ends_in_a_sentence(tmp_path: Path) -> None:
    spoken = sentences.speak([Voice("flite", "slt")], "activate", [1.0], tmp_path)
    assert len(spoken) > len(sentences.FRAMES) / 2
    assert all(RATE / 4 < one.end <= len(one.samples) for one in spoken)


def test_the_end_of_a_run_of_sounds() -> None:
    segments = [("pau", 0.1), ("ae", 0.2), ("k", 0.3), ("t", 0.4), ("s", 0.5)]
    assert sentences.word_end(["ae", "k", "t"], segments) == 0.4
    assert sentences.word_end(["ae", "t"], segments) is None
