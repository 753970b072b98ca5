"""Which words near in sound a model takes for its own, said by a sample of the synthetic voices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from trigger_api.datasets import pronunciation
from trigger_api.datasets.confusables import NEAREST, confusables
from trigger_api.datasets.tts import Line, Voice, say, voices
from trigger_api.evaluation.trigger.detector import Detector, Scores, load
from trigger_api.evaluation.trigger.intervals import proportion
from trigger_api.evaluation.trigger.report import Figures, interval_figures
from trigger_api.tasks.trigger.words import keyword


def evaluate_confusables(
    model: Path, cache: Path, word: str | None = None, phrases: Sequence[str] = (), per_program: int = 4
) -> Figures:
    """At each of the card's thresholds: how many utterances of near words fire the model, which, and whose.

    Args:
        model: folder of a head, or a file of openWakeWord's.
        cache: folder that keeps what was spoken.
        word: whose neighbours are said; the model's own if not given.
        phrases: what is said instead of the nearest words.
        per_program: how many voices of each synthesiser speak.

    Returns:
        ``utterances`` in all, ``voices``, and ``thresholds``: for each its ``threshold``, how many utterances it
        ``fired`` at, their ``share`` with its interval, the voices by ``words``, each that fired the model, and how
        many ``by_program``.

    Raises:
        OSError: the model cannot be read.
        ValueError: it cannot be used, no synthesiser is installed, or nothing is near the word.
    """
    detector = load(model)
    texts = list(phrases) or confusables(word or keyword(detector.card), NEAREST)
    lines = [(text, voice) for text in texts for voice in sample(voices(), per_program)]
    spoken = say([_line(voice, text) for text, voice in lines], cache)
    heard = [(*line, detector.scores(sound)) for line, sound in zip(lines, spoken, strict=True) if sound is not None]
    if not heard:
        raise ValueError("nobody says a phrase: install espeak-ng, flite or festival, and pocketsphinx or give phrases")
    return {
        "utterances": len(heard),
        "voices": list(dict.fromkeys(_named(voice) for _, voice, _ in heard)),
        "thresholds": {name: _taken(detector, heard, at) for name, at in detector.thresholds.items()},
    }


def sample(known: Sequence[Voice], per_program: int) -> list[Voice]:
    """So many English voices of each synthesiser, evenly spaced among its own."""
    chosen: list[Voice] = []
    for program in dict.fromkeys(voice.program for voice in known):
        own = [voice for voice in known if voice.program == program and not voice.accent]
        chosen += own[:: max(1, -(-len(own) // per_program))]
    return chosen


def _line(voice: Voice, text: str) -> Line:
    """A line for a voice, as phonemes where it wants those: British ones for a British voice."""
    if voice.takes_phonemes:
        british = voice.program == "kokoro" and voice.name.startswith("b")
        text = pronunciation.phonemes(text, "en-gb" if british else "en-us")
    return Line(voice, text)


def _taken(detector: Detector, heard: Sequence[tuple[str, Voice, Scores]], threshold: float) -> Figures:
    fired = [(text, voice) for text, voice, scores in heard if detector.detections(scores, threshold)]
    words = {text: [_named(voice) for said, voice in fired if said == text] for text, _ in fired}
    return {
        "threshold": threshold,
        "fired": len(fired),
        "share": interval_figures(proportion(len(fired), len(heard))),
        "words": dict(sorted(words.items(), key=lambda one: -len(one[1]))),
        "by_program": dict(Counter(voice.program for _, voice in fired)),
    }


def _named(voice: Voice) -> str:
    return f"{voice.program} {voice.name}"
