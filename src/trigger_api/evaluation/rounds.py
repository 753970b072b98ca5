"""Leave-one-out rounds: what a recipe finds of people, synthesisers and other speech that it never met.

Each round trains without one real speaker and without one synthesiser, and is measured on both. It trains twice: once
without each half of the negative clips that count, and each model is measured on the half it never met, so that every
clip is scored once and none by a model that knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from trigger_api.cards import CARD_FILE
from trigger_api.evaluation.listening import Listener, load
from trigger_api.evaluation.trigger import Clip, Point, Trial, clip, clips, listen, percentile
from trigger_api.training.material import Sources, half_of
from trigger_api.training.recordings import audio_files
from trigger_api.training.speech import Line, say, voices

WITHIN_SECONDS = 0.12
_TEMPOS = ((0.85, 0.4), (1.0, 0.5), (1.15, 0.6))

Train = Callable[[Sources, Path], object]


@dataclass(frozen=True)
class HeldOut:
    """Who is left out of a round: recordings whose names match a pattern, and a synthesiser's program."""

    recordings: str
    program: str


@dataclass(frozen=True)
class Result:
    """One round at the lowest threshold that both of its models share and that allows one false accept in all."""

    held_out: HeldOut
    threshold: float
    false_accepts: int
    hours: float
    people: Point
    synthetic: Point


def rounds(
    sources: Sources, tests: Sequence[Path], held_out: Sequence[HeldOut], out: Path, train: Train
) -> list[Result]:
    """Run every round. `tests` are folders of clips without the word; their other half is trained on.

    A model folder that is already there is used again, so a run that was stopped goes on.
    """
    return [_round(sources, tests, one, out / f"round-{number}", train) for number, one in enumerate(held_out, 1)]


def _round(sources: Sources, tests: Sequence[Path], held_out: HeldOut, out: Path, train: Train) -> Result:
    people = [one for one in clips(_matching(sources, held_out), said=True) if one.word]
    synthetic = spoken(sources.word, held_out.program, out / "speech")
    models = {half: _model(sources, tests, held_out, half, out, train) for half in ("half-a", "half-b")}
    negative = [listen(model, clips(_half(tests, half), said=False)) for half, model in models.items()]
    threshold = shared_threshold(negative, 1)
    at = [trial.at(threshold) for trial in negative]
    return Result(
        held_out,
        threshold,
        sum(point.false_accepts for point in at),
        sum(point.hours for point in at),
        _both(models.values(), people, threshold),
        _both(models.values(), synthetic, threshold),
    )


def shared_threshold(trials: Sequence[Trial], false_accepts: int) -> float:
    """The lowest threshold at which several models together make no more false accepts than this."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        total = sum(trial.at(middle).false_accepts for trial in trials)
        low, high = (low, middle) if total <= false_accepts else (middle, high)
    return high


def spoken(word: str, program: str, cache: Path) -> list[Clip]:
    """The word as every voice of a program says it, at three paces."""
    lines = [Line(voice, word, *pace) for voice in voices() if voice.program == program for pace in _TEMPOS]
    said = zip(lines, say(lines, cache), strict=True)
    found = [clip(f"{line.voice.name}@{line.tempo}", sound, said=True) for line, sound in said if sound is not None]
    return [one for one in found if one.word]


def report(results: Sequence[Result]) -> dict[str, JsonValue]:
    """The figures as they go into a card."""
    return {f"without {one.held_out.recordings} and {one.held_out.program}": _row(one) for one in results}


def _row(result: Result) -> dict[str, JsonValue]:
    errors = np.abs([*result.people.errors, *result.synthetic.errors])
    return {
        "threshold": round(result.threshold, 4),
        "people_found": f"{result.people.hits} of {result.people.words}",
        "synthesiser_found": f"{result.synthetic.hits} of {result.synthetic.words}",
        "false_accepts": result.false_accepts,
        "hours": round(result.hours, 2),
        "timestamp_error_ms_p50": round(1000 * percentile(errors.tolist(), 50)),
        "timestamp_error_ms_p95": round(1000 * percentile(errors.tolist(), 95)),
        "within_120_ms": f"{int((errors <= WITHIN_SECONDS).sum())} of {len(errors)}",
    }


def _model(sources: Sources, tests: Sequence[Path], held_out: HeldOut, half: str, out: Path, train: Train) -> Listener:
    folder = out / half
    if not (folder / CARD_FILE).exists():
        excluded = (held_out.recordings, held_out.program, *(f"{half}:{path.as_posix()}/*" for path in tests))
        train(replace(sources, negatives=(*sources.negatives, *tests), without=excluded), folder)
    return load(folder)


def _matching(sources: Sources, held_out: HeldOut) -> list[Path]:
    folder = [sources.recordings] if sources.recordings else []
    return [path for path in audio_files(folder) if path.match(f"{held_out.recordings}.*")]


def _half(tests: Sequence[Path], half: str) -> list[Path]:
    return [path for path in audio_files(tests) if half_of(path).startswith(half)]


def _both(models: Iterable[Listener], said: Sequence[Clip], threshold: float) -> Point:
    """The word's clips as heard by every model of the round, counted together."""
    first, *others = [listen(model, said).at(threshold) for model in models]
    for point in others:
        first = replace(
            first,
            words=first.words + point.words,
            hits=first.hits + point.hits,
            lags=first.lags + point.lags,
            errors=first.errors + point.errors,
        )
    return first
