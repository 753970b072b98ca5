"""How often a model takes other phrases for its word, said by every synthetic voice there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from trigger_api.evaluation.trigger.listening import load
from trigger_api.evaluation.trigger.rates import share
from trigger_api.evaluation.trigger.trials import clip, listen
from trigger_api.training.trigger.speech import Line, say, voices

# What begins, ends or sounds like "activate".
NEAR_MISSES = (
    "activity",
    "active eight",
    "active",
    "actor",
    "deactivate",
    "captivate",
    "motivate",
    "cultivate",
    "aggravate",
    "elevate",
    "back to eight",
    "act of hate",
    "attic gate",
    "actuate",
    "activist",
    "accurate",
)


def evaluate_phrases(model: Path, phrases: Sequence[str], cache: Path) -> dict[str, JsonValue]:
    """Of each phrase, and of all together: how many voices' fire the model, at its card's threshold.

    Args:
        model: folder with ``model.keras`` and ``card.json``.
        phrases: what is said, none of it the word.
        cache: folder that keeps what was spoken.

    Raises:
        ValueError: no synthesiser is installed.
    """
    listener = load(model)
    figures: dict[str, JsonValue] = {}
    fired = total = 0
    for phrase in phrases:
        said = [sound for sound in say([Line(voice, phrase) for voice in voices()], cache) if sound is not None]
        trial = listen(listener, (clip(phrase, sound, said=False) for sound in said))
        hits = sum(bool(listener.detections(take.scores)) for take in trial.takes)
        figures[phrase] = f"{hits} of {len(said)}"
        fired, total = fired + hits, total + len(said)
    if not total:
        raise ValueError("nobody says the phrases: install espeak-ng, flite or festival")
    rate = share(fired, total)
    return {"fired": [round(value, 4) for value in (rate.value, rate.low, rate.high)], "of": total, **figures}
