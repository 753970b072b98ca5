"""How a phrase is pronounced, also by people with other mother tongues.

Phonemes are those of espeak-ng, in the International Phonetic Alphabet; it can read any spelling, including names and
numbers.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache

import numpy as np

_SECONDS = 10
_SECONDARY, _PRIMARY = "ˌ", "ˈ"
_STRESS = re.compile(f"[{_PRIMARY}{_SECONDARY}]")
_VOWEL = re.compile("[aeiouæɑɒɔəɛɜɪʊʌɐᵻɚɝ]")

# How non-native speakers often pronounce a sound of English. Diphthongs and affricates come before their parts.
_SUBSTITUTES: dict[str, tuple[str, ...]] = {
    "eɪ": ("eː", "e", "ɛ", "ɛɪ", "aɪ"),
    "aɪ": ("a", "ɑɪ", "ɔɪ"),
    "oʊ": ("o", "oː", "ɔ", "əʊ"),
    "aʊ": ("a", "æʊ", "ɑ"),
    "ɔɪ": ("oɪ", "ɔ"),
    "dʒ": ("ʒ", "j", "tʃ", "z"),
    "tʃ": ("ʃ", "ts", "t"),
    "ɜː": ("ɛ", "ɔ", "ə", "ɜ"),
    "ɑː": ("ɔ", "a", "ɒ", "ɑ"),
    "iː": ("i", "ɪ"),
    "uː": ("u", "ʊ", "y"),
    "ɔː": ("o", "ɔ", "ɑ"),
    "ɚ": ("ə", "ɛɾ", "a", "ɐ"),
    "æ": ("a", "ɛ", "ɑ", "ɐ"),
    "ɪ": ("i", "e", "ə"),
    "ᵻ": ("i", "ɪ", "ə", "e"),
    "ɛ": ("e", "æ", "ɪ"),
    "ʌ": ("a", "ɔ", "ɑ", "ʊ"),
    "ʊ": ("u", "o", "ə"),
    "ə": ("a", "ɛ", "e", "o"),
    "ɐ": ("a", "ə", "ɛ"),
    "ɑ": ("a", "ɔ"),
    "ɔ": ("o", "ɑ"),
    "θ": ("t", "s", "f", "ʈ"),
    "ð": ("d", "z", "v", "ɖ"),
    "ɹ": ("r", "ɾ", "ʁ", "l", "w"),
    "ɾ": ("t", "d", "ɹ", "r"),
    "w": ("v", "ʋ"),
    "v": ("w", "b", "ʋ", "f"),
    "t": ("d", "ʈ", "tʰ"),
    "d": ("t", "ɖ"),
    "k": ("ɡ", "kʰ", "q"),
    "ɡ": ("k", "ɣ"),
    "p": ("b", "f", "pʰ"),
    "b": ("p", "β"),
    "z": ("s", "ʒ"),
    "s": ("z", "ʃ"),
    "ʃ": ("s", "ʒ"),
    "h": ("x", ""),
    "ŋ": ("n", "ŋɡ"),
    "l": ("ɾ", "ɫ", "ɹ"),
    "n": ("ɲ", "m"),
}
_UNITS = re.compile("|".join(sorted(map(re.escape, _SUBSTITUTES), key=len, reverse=True)) + "|.")


@cache
def phonemes(text: str, accent: str = "en-us") -> str:
    """The phonemes of a text according to espeak-ng: ``ˈæktᵻvˌeɪt`` for "activate".

    Raises:
        OSError: espeak-ng is not installed.
        subprocess.SubprocessError: it failed.
    """
    command = ["espeak-ng", "-q", "--ipa", "-v", accent, "--", text]
    spoken = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603
    return re.sub(r"\([^)]*\)|[\u200d_]", "", " ".join(spoken.stdout.split()))


def variants(spoken: str, count: int, rng: np.random.Generator) -> list[str]:
    """Up to ``count`` different pronunciations of the same phonemes: sounds replaced, the stress moved.

    There are fewer if the phrase is too short.
    """
    found = dict.fromkeys(_variant(spoken, rng) for _ in range(6 * count))
    found.pop(spoken, None)
    return list(found)[:count]


def _variant(spoken: str, rng: np.random.Generator) -> str:
    units = _UNITS.findall(spoken)
    open_to_change = [place for place, unit in enumerate(units) if unit in _SUBSTITUTES]
    most = max(1, min(3, len(open_to_change) // 2))
    for place in rng.choice(open_to_change, min(len(open_to_change), int(rng.integers(1, most + 1))), replace=False):
        choices = _SUBSTITUTES[units[place]]
        units[place] = choices[int(rng.integers(len(choices)))]
    changed = "".join(units)
    return _stress_moved(changed, rng) if rng.random() < 0.2 else changed


def _stress_moved(spoken: str, rng: np.random.Generator) -> str:
    """Put the main stress on a random syllable; the mark precedes its vowel."""
    plain = _STRESS.sub("", spoken)
    vowels = list(_starts_of_vowels(plain))
    if not vowels:
        return spoken
    place = vowels[int(rng.integers(len(vowels)))]
    return f"{plain[:place]}{_PRIMARY}{plain[place:]}"


def _starts_of_vowels(plain: str) -> Iterator[int]:
    for found in _VOWEL.finditer(plain):
        if found.start() == 0 or not _VOWEL.match(plain[found.start() - 1]):
            yield found.start()


# Spellings that languages with regular spelling read roughly like the English sound.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "eɪ": ("ei", "ey", "e"),
    "aɪ": ("ai", "ay"),
    "oʊ": ("ou", "o"),
    "aʊ": ("au",),
    "ɔɪ": ("oi",),
    "dʒ": ("dj", "j", "dz"),
    "tʃ": ("ch", "tsch", "c"),
    "ɜː": ("er", "ö"),
    "ɑː": ("a", "o"),
    "iː": ("i",),
    "uː": ("u",),
    "ɔː": ("o",),
    "ɚ": ("er", "a"),
    "æ": ("a", "e", "ä"),
    "ɪ": ("i",),
    "ᵻ": ("i",),
    "ɛ": ("e",),
    "ʌ": ("a",),
    "ʊ": ("u",),
    "ə": ("a", "e"),
    "ɐ": ("a",),
    "ɑ": ("a",),
    "ɔ": ("o",),
    "θ": ("t", "s"),
    "ð": ("d",),
    "ɹ": ("r",),
    "ɾ": ("t", "d"),
    "w": ("w", "v", "u"),
    "ɡ": ("g",),
    "ʃ": ("sh", "sch", "s"),
    "ʒ": ("j",),
    "ŋ": ("ng", "n"),
    "j": ("y", "i"),
    "ː": ("",),
    _PRIMARY: ("",),
    _SECONDARY: ("",),
}
_SPELLED = re.compile("|".join(sorted(map(re.escape, _SPELLINGS), key=len, reverse=True)) + "|.")


def respelled(spoken: str, rng: np.random.Generator) -> str:
    """Phonemes spelled for voices of other languages, which read them with their own sounds: "aktiveit"."""
    return "".join(
        choices[int(rng.integers(len(choices)))]
        for choices in (_SPELLINGS.get(u, (u,)) for u in _SPELLED.findall(spoken))
    )
