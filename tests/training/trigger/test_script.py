import shutil

import pytest

from trigger_api.datasets.tts import Voice
from trigger_api.training.trigger.script import Script

ESPEAK, ACCENT = Voice("espeak-ng", "en-us"), Voice("espeak-ng", "pl", accent=True)
KOKORO = [Voice("kokoro", name) for name in ("af_heart", "bm_lewis", "hf_alpha")]

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


def test_every_voice_says_the_phrase() -> None:
    lines = Script("activate", [ESPEAK, Voice("flite", "slt")], 0).said()
    assert {line.voice.program for line in lines} == {"espeak-ng", "flite"}
    assert {line.text for line in lines} == {"activate"}
    assert len({line.tempo for line in lines}) == len(lines)


@needs_espeak
def test_neural_voices_are_blended_and_say_variants() -> None:
    lines = Script("activate", KOKORO, 0).said()
    assert sum("+" in line.voice.name for line in lines) == 480
    assert len({line.text for line in lines}) > 200
    british = [line.text for line in lines if line.voice.name == "bm_lewis"]
    assert british != [line.text for line in lines if line.voice.name == "af_heart"]


@needs_espeak
def test_other_languages_read_respellings() -> None:
    spelt = {line.text for line in Script("activate", [ACCENT], 0).said()}
    assert all(text.isalpha() and text != "activate" for text in spelt)


def test_a_voice_says_the_same_whoever_else_is_there() -> None:
    alone = Script("beep", [ESPEAK], 3).others()
    among = [line for line in Script("beep", [Voice("flite", "slt"), ESPEAK], 3).others() if line.voice == ESPEAK]
    assert alone == among
    assert Script("beep", [ESPEAK], 4).others() != alone


def test_other_things_do_not_hold_the_phrase() -> None:
    assert not any(" coffee " in f" {line.text} " for line in Script("coffee", [ESPEAK], 0).others())


def test_without_confusables_none_are_said() -> None:
    assert Script("beep", [ESPEAK], 0).near([]) == []
    assert {line.text for line in Script("beep", [ESPEAK], 0).near(["peep"])} == {"peep"}
