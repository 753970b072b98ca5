"""How often a model takes other phrases for its word, said by every synthetic voice there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from trigger_api.evaluation.trigger.listening import load
from trigger_api.evaluation.trigger.rates import share
from trigger_api.evaluation.trigger.trials import clip, listen
from trigger_api.tasks.trigger import word_of
from trigger_api.training.trigger.lookalikes import NEAREST, lookalikes
from trigger_api.training.trigger.speech import Line, say, voices


def evaluate_phrases(
    model: Path, cache: Path, phrases: Sequence[str] = (), program: str | None = None
) -> dict[str, JsonValue]:
    """Of each phrase, and of all together: how many voices' fire the model, at its card's threshold.

    Args:
        model: folder with ``model.keras`` and ``card.json``.
        cache: folder that keeps what was spoken.
        phrases: what is said, none of it the word; the words nearest to it in sound if not given.
        program: the only synthesiser whose voices speak, such as one that the model never met.

    Raises:
        ValueError: no synthesiser is installed, or nothing is near the word.
    """
    listener = load(model)
    speakers = [voice for voice in voices() if program in (None, voice.program)]
    figures: dict[str, JsonValue] = {}
    fired = total = 0
    for phrase in phrases or lookalikes(word_of(listener.card), NEAREST):
        said = [sound for sound in say([Line(voice, phrase) for voice in speakers], cache) if sound is not None]
        trial = listen(listener, (clip(phrase, sound, said=False) for sound in said))
        hits = sum(bool(listener.detections(take.scores)) for take in trial.takes)
        figures[phrase] = f"{hits} of {len(said)}"
        fired, total = fired + hits, total + len(said)
    if not total:
        raise ValueError("nobody says a phrase: install espeak-ng, flite or festival, and pocketsphinx or give phrases")
    rate = share(fired, total)
    return {"fired": [round(value, 4) for value in (rate.value, rate.low, rate.high)], "of": total, **figures}
