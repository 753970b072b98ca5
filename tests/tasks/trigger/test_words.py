from __future__ import annotations

import pytest

from helpers.beep import trigger_card
from trigger_api.errors import UnknownModel, Unprocessable
from trigger_api.model_card import Decision
from trigger_api.tasks.trigger.words import decision_for, gate, keyword, model_for_word, models_for_words

CARDS = [
    trigger_card("beep"),
    trigger_card("other").model_copy(update={"labels": ("Hey you", "hey")}),
    trigger_card("hey_jarvis"),
    trigger_card("hey-jarvis"),
]


def test_sensitivities_are_those_of_the_card() -> None:
    measured = Decision(threshold=0.6, sensitivities={"low": 0.9, "high": 0.3})
    card = trigger_card().model_copy(update={"decision": measured})
    found = {name: decision_for(card, sensitivity=name).threshold for name in ("low", "medium", "high")}
    assert found == {"low": 0.9, "medium": 0.6, "high": 0.3}
    assert decision_for(card, threshold=0.1).threshold == 0.1
    assert decision_for(card) == measured
    with pytest.raises(Unprocessable, match="medium"):
        decision_for(trigger_card(), sensitivity="high")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("beep", "beep"), ("BEEP", "beep"), (" beep ", "beep"), ("hey you", "other"), ("other", "other"),
        ("hey_you", "other"), ("HEY-YOU", "other"), ("hey  you", "other"), ("hey", "other"),
        ("hey_jarvis", "hey_jarvis"), ("hey-jarvis", "hey-jarvis"), ("Hey Jarvis", "hey_jarvis"),
    ],
)  # fmt: skip
def test_a_word_is_a_label_or_the_name_of_a_model_in_any_case(word: str, name: str) -> None:
    assert model_for_word(CARDS, word) == name


def test_an_unknown_word_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match="known words: Hey you, beep, hey-jarvis, hey_jarvis"):
        model_for_word(CARDS, "nix")


def test_several_words_are_distinct_models() -> None:
    assert models_for_words(CARDS, ["hey", "beep", "Hey-You"]) == ["other", "beep"]
    assert models_for_words(CARDS, ["nix", "*"]) == ["beep", "other", "hey_jarvis", "hey-jarvis"]
    with pytest.raises(UnknownModel):
        models_for_words([], ["*"])
    assert [keyword(card) for card in CARDS[:2]] == ["beep", "Hey you"]


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, 0.02), (0.2, 0.02), (0.19, 0), (0, 0)])
def test_near_the_gate_a_student_decides_nothing(threshold: float, expected: float) -> None:
    assert gate(Decision(threshold=threshold, gate=0.02)) == expected
    assert gate(Decision(threshold=threshold)) == 0
