"""Leave-one-out rounds: what a recipe finds of people, synthesisers and other speech that it never met.

Each round trains without one real speaker and without one synthesiser, and is measured on both, and on recordings of
other speech of which no round saw any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from trigger_api.cards import CARD_FILE
from trigger_api.evaluation.listening import load
from trigger_api.evaluation.trigger import Clip, Point, clip, clips, listen, percentile
from trigger_api.training.material import Sources
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
    """One round, at the lowest threshold with so few false accepts: people held out, the program's voices, the rest."""

    held_out: HeldOut
    people: Point
    synthetic: Point
    unsaid: Point


def rounds(
    sources: Sources, tests: Sequence[Path], held_out: Sequence[HeldOut], out: Path, train: Train, *, allowed: int = 1
) -> list[Result]:
    """Run every round; `allowed` false accepts on `tests`, folders of clips without the word, set each threshold.

    A model folder that is already there is used again, so a run that was stopped goes on.
    """
    return [_round(sources, tests, one, out / f"round-{k}", train, allowed) for k, one in enumerate(held_out, 1)]


def _round(sources: Sources, tests: Sequence[Path], held_out: HeldOut, out: Path, train: Train, allowed: int) -> Result:
    if not (out / CARD_FILE).exists():
        train(replace(sources, without=(held_out.recordings, held_out.program)), out)
    model = load(out)
    unsaid = listen(model, clips(tests, said=False)).allowing(allowed)
    people = [one for one in clips(_matching(sources, held_out), said=True) if one.word]
    synthetic = spoken(sources.word, held_out.program, out / "speech")
    return Result(
        held_out,
        listen(model, people).at(unsaid.threshold),
        listen(model, synthetic).at(unsaid.threshold),
        unsaid,
    )


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
    errors = [*result.people.errors, *result.synthetic.errors]
    within = sum(abs(error) <= WITHIN_SECONDS for error in errors)
    return {
        "threshold": round(result.unsaid.threshold, 4),
        "people found": f"{result.people.hits} of {result.people.words}",
        "synthetic voices found": f"{result.synthetic.hits} of {result.synthetic.words}",
        "false accepts": result.unsaid.false_accepts,
        "hours": round(result.unsaid.hours, 2),
        "timestamps within 120 ms": f"{within} of {len(errors)}",
        "median timestamp error, ms": round(1000 * percentile([abs(error) for error in errors], 50)),
    }


def _matching(sources: Sources, held_out: HeldOut) -> list[Path]:
    folder = [sources.recordings] if sources.recordings else []
    return [path for path in audio_files(folder) if path.match(f"{held_out.recordings}.*")]
