import pytest

from trigger_api.datasets import confusables as module
from trigger_api.datasets import pronunciation
from trigger_api.datasets.confusables import confusables, dictionary, distance, sounds_of

pytest.importorskip("pocketsphinx")


def test_words_near_in_sound_come_first() -> None:
    near = confusables("activate")
    assert 40 <= len(near) <= 60
    assert {"activity", "captivate", "motivate", "deactivate"} <= set(near)
    assert not {"activate", "activated"} & set(near)


def test_two_words_may_make_it_up_together() -> None:
    assert "active eight" in confusables("activate")


def test_parts_of_a_phrase_are_not_the_phrase() -> None:
    near = confusables("hey jarvis")
    assert {"hey", "jarvis"} <= set(near)
    assert any(text.startswith("hey ") for text in near)
    assert "hey jarvis" not in near


def test_words_with_an_apostrophe_or_a_hyphen_are_known() -> None:
    assert sounds_of("don't wake-up") == ("D", "OW", "N", "T", "W", "EY", "K", "AH", "P")


def test_what_no_dictionary_has_is_pronounced_by_espeak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciation, "phonemes", lambda text: "ˈɑːɹ tˈuː dˈiː tˈuː")
    assert sounds_of.__wrapped__("r2 d2") == ("AA", "R", "T", "UW", "D", "IY", "T", "UW")


def test_without_espeak_such_a_phrase_has_no_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(text: str) -> str:
        raise FileNotFoundError("espeak-ng")

    monkeypatch.setattr(pronunciation, "phonemes", missing)
    assert sounds_of.__wrapped__("xqzt") == ()


def test_without_a_dictionary_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    caches = (dictionary, module._entries, module._table, sounds_of, module._nearest)
    for known in caches:
        known.cache_clear()
    assert confusables("activate") == []
    for known in caches:
        known.cache_clear()


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [("", "", 0), ("a b", "", 2), ("a b c", "a c", 1), ("a b c", "a x c d", 2), ("k a t", "s i t", 2)],
)
def test_distance_is_in_sounds(one: str, other: str, steps: int) -> None:
    pair = tuple(one.split()), tuple(other.split())
    assert distance(*pair) == distance(*reversed(pair)) == steps
