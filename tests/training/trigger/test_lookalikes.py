import pytest

from trigger_api.training.trigger import lookalikes as module
from trigger_api.training.trigger.lookalikes import dictionary, distance, lookalikes, pronounced


def test_words_near_in_sound_come_first() -> None:
    pytest.importorskip("pocketsphinx")
    near = lookalikes("activate")
    assert len(near) == 60
    assert {"activity", "captivate", "motivate", "deactivate"} <= set(near)
    assert not {"activate", "activated"} & set(near)


def test_words_with_an_apostrophe_or_a_hyphen_are_known_but_not_near() -> None:
    pytest.importorskip("pocketsphinx")
    assert pronounced("don't wake-up") == ("D", "OW", "N", "T", "W", "EY", "K", "AH", "P")
    assert all(word.isalpha() for word in lookalikes("don't"))
    assert pronounced("xqzt") is None


def test_a_phrase_of_unknown_words_has_none() -> None:
    assert lookalikes("xqzt") == []


def test_without_a_dictionary_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for known in (dictionary, module._entries):
        known.cache_clear()
    assert lookalikes("activate") == []
    for known in (dictionary, module._entries):
        known.cache_clear()


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [("", "", 0), ("a b", "", 2), ("a b c", "a c", 1), ("a b c", "a x c d", 2), ("k a t", "s i t", 2)],
)
def test_distance_is_in_sounds(one: str, other: str, steps: int) -> None:
    pair = tuple(one.split()), tuple(other.split())
    assert distance(*pair) == distance(*reversed(pair)) == steps
