import numpy as np
import pytest

from trigger_api.training.trigger import splices as module
from trigger_api.training.trigger.phones import HOP, SOUNDS, Utterance
from trigger_api.training.trigger.splices import Splicer, splices

FRAMES = 8


def uttered(*sounds: str, frames: int = FRAMES) -> Utterance:
    """Each sound is a tone of its own, at a level of its own."""
    numbers = [SOUNDS.index(sound) for sound in sounds]
    time = np.arange(frames * HOP) / (100 * HOP)
    tones = [np.sin(2 * np.pi * 100 * number * time) for number in numbers]
    return Utterance(np.concatenate(tones).astype(np.float32), np.repeat(numbers, frames).astype(np.uint8))


def heard(samples: np.ndarray, frame: int) -> str:
    """The sound whose tone is in the middle of some frames."""
    middle = samples[frame * HOP : (frame + 4) * HOP]
    return SOUNDS[round(float(np.abs(np.fft.rfft(middle)).argmax()) * 100 * HOP / len(middle) / 100)]


def test_a_word_is_made_of_sounds_that_were_heard() -> None:
    splicer = Splicer([uttered("B", "IY"), uttered("SIL", "P", "SIL"), uttered("AA", "B")])
    word = splicer.splice(("B", "IY", "P"), np.random.default_rng(0))
    assert word is not None
    assert abs(len(word) - 3 * FRAMES * HOP) <= 3 * HOP
    assert [heard(word, 2 + FRAMES * n) for n in range(3)] == ["B", "IY", "P"]
    assert splicer.splice(("B", "OY"), np.random.default_rng(0)) is None


def test_sounds_that_hardly_last_or_do_not_end_are_not_used() -> None:
    splicer = Splicer([uttered("B", frames=2), uttered("P", frames=30)])
    assert all(splicer.splice((sound,), np.random.default_rng(0)) is None for sound in ("B", "P"))


def test_all_people_are_as_loud() -> None:
    quiet, loud = (Utterance(gain * one.samples, one.labels) for gain, one in ((0.01, uttered("B")), (1, uttered("P"))))
    word = Splicer([quiet, loud]).splice(("B", "P"), np.random.default_rng(0))
    assert word is not None
    first, second = word[2 * HOP : 6 * HOP], word[10 * HOP : 14 * HOP]
    assert np.abs(first).max() == pytest.approx(np.abs(second).max(), rel=0.1)


def test_the_word_and_others_are_spliced(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"beep": ("B", "IY", "P"), "peabody": ("P", "IY", "B", "IY"), "peep": ("P", "IY", "P"), "boy": ("B", "OY")}
    monkeypatch.setattr(module, "dictionary", lambda: known)
    monkeypatch.setattr(module, "pronounced", known.get)
    people = [uttered("B", "IY"), uttered("P", "IY")]
    found = splices(people, "beep", ["peabody", "peep", "boy"], ["peep"], 0)
    assert len(found.said) == module.SAID
    assert all(one.end == len(one.samples) for one in found.said)
    assert len(found.others) == module.OTHERS + module.NEAR
    assert splices(people, "boy", ["peabody"], [], 0) == module.Splices()
    assert splices(people, "unknown", ["peabody"], [], 0) == module.Splices()
    again = splices(people, "beep", ["peabody", "peep", "boy"], ["peep"], 0)
    assert all((a.samples == b.samples).all() for a, b in zip(found.said, again.said, strict=True))
