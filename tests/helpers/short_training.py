"""A real training of a word, in seconds: ``short_training.py WORD OUT RECORDINGS OTHERS``."""

from __future__ import annotations

import sys
from pathlib import Path

from trigger_api.training.trigger.fit import Schedule
from trigger_api.training.trigger.head import Shape
from trigger_api.training.trigger.recipe import Recipe, train_trigger

NO_VOICES = ("flite", "festival", "espeak-ng", "kokoro", "piper")


def main(word: str, out: str, recordings: str, others: str) -> None:
    """Train it."""
    schedule = Schedule(epochs=2, steps=4, positives=8, random=8, hard=8)
    recipe = Recipe(2, 8, 8, 8, 8, 8, 4, shape=Shape(width=8, members=2), schedule=schedule)
    train_trigger(word, Path(out), [Path(recordings)], [Path(others)], without=NO_VOICES, recipe=recipe)


if __name__ == "__main__":
    main(*sys.argv[1:])
