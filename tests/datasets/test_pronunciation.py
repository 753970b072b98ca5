import shutil

import numpy as np
import pytest

from trigger_api.datasets.pronunciation import phonemes, respelled, variants

ACTIVATE = "ˈæktᵻvˌeɪt"

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@needs_espeak
@pytest.mark.parametrize("text", ["activate", "hey jarvis", "okay nabu", "R2 D2", "-- help"])
def test_any_spelling_is_pronounced(text: str) -> None:
    assert phonemes(text)
    assert not set("()_\u200d") & set(phonemes(text))


@needs_espeak
def test_phonemes_are_those_of_an_accent() -> None:
    assert phonemes("activate") == ACTIVATE
    assert phonemes("computer") != phonemes("computer", "en-gb")


def test_variants_differ_from_the_phrase_and_from_each_other() -> None:
    found = variants(ACTIVATE, 50, np.random.default_rng(0))
    assert len(found) == len(set(found)) == 50
    assert ACTIVATE not in found


def test_the_same_seed_gives_the_same_variants() -> None:
    first, again = (variants(ACTIVATE, 20, np.random.default_rng(3)) for _ in range(2))
    assert first == again


def test_the_stress_moves_to_any_syllable() -> None:
    found = variants(ACTIVATE, 200, np.random.default_rng(0))
    assert any("ˈ" in variant[2:] and not variant.startswith("ˈ") for variant in found)
    assert all(variant.count("ˈ") <= 1 for variant in found)


def test_a_phrase_without_a_known_sound_has_no_variants() -> None:
    assert variants("", 5, np.random.default_rng(0)) == []


def test_other_languages_read_a_respelling() -> None:
    spelt = {respelled(ACTIVATE, np.random.default_rng(seed)) for seed in range(20)}
    assert "aktiveit" in spelt
    assert all(letter.isalpha() for word in spelt for letter in word)
