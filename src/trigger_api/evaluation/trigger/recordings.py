"""The evaluation on folders of recordings: the word by itself, and others that do not have it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from trigger_api.datasets.speech import RATE, Samples, audio_files, read, speech_span
from trigger_api.evaluation.trigger.conditions import condition
from trigger_api.evaluation.trigger.detector import load
from trigger_api.evaluation.trigger.report import Figures, operating_points, point_figures, write
from trigger_api.evaluation.trigger.scoring import Clip, EvaluationRun, Word, score, without_word

COUNTS, RATES = (0, 1, 3), (0.1, 0.5, 2.0)  # false accepts in all, and an hour


def evaluate_trigger(
    model: Path,
    positives: Sequence[Path],
    negatives: Sequence[Path],
    out: Path | None = None,
    *,
    noise: Sequence[Path] = (),
    snr_db: float = 10.0,
    reverb: bool = False,
    seed: int = 0,
    speaker: str | None = None,
) -> Figures:
    """Measure a model on recordings, as it would hear them live.

    Args:
        model: folder of a head, or a file of openWakeWord's.
        positives: folders of recordings of nothing but the word; an activation anywhere in one is a hit.
        negatives: folders of recordings that never have it.
        out: where ``evaluation.json`` and ``evaluation.png`` go; nowhere if not given.
        noise: folders of noise that is mixed into everything.
        snr_db: how far speech is above it.
        reverb: whether every recording is put into a simulated room.
        seed: of the noise's places and the rooms.
        speaker: a regular expression whose one group finds the speaker in a recording's file name.

    Returns:
        ``hours`` without the word, recordings ``left_out`` because nobody speaks, and ``points``; see `report`.

    Raises:
        OSError: the model cannot be read.
        RuntimeError: a recording cannot.
        ValueError: the model cannot be used; there are no recordings, nobody speaks in those of the word, there is no
            such noise; or the expression has not one group, or finds nobody.
    """
    said, others = audio_files(positives), audio_files(negatives)
    if not (said and others):
        raise ValueError("both kinds of recordings are needed, with the word and without: one of them has none")
    changed, speakers, detector = condition(noise, snr_db, reverb=reverb), _speakers(said, speaker), load(model)
    words = score(detector, _words(said, speakers), changed, seed)
    if not words.clips:
        raise ValueError("nobody speaks in any of the recordings of the word")
    without = score(detector, (without_word(path.name, read(path)) for path in others), changed, seed + 1)
    run = EvaluationRun(detector, words.clips + without.clips)
    figures = _figures(run, left_out=len(said) - len(words.clips))
    if out is not None:
        write(figures, run, out)
    return figures


def _figures(run: EvaluationRun, left_out: int) -> Figures:
    points = operating_points(run, COUNTS, RATES)
    return {
        "hours": round(run.hours, 3),
        "left_out": left_out,
        "points": {name: point_figures(point) for name, point in points.items()},
    }


def _words(paths: Sequence[Path], speakers: Sequence[str]) -> Iterator[tuple[Clip, Samples]]:
    """Recordings of the word; where it ends, its energy tells. Those in which nobody speaks are left out."""
    for path, speaker in zip(paths, speakers, strict=True):
        samples = read(path)
        span = speech_span(samples)
        if span is not None:
            word = Word(0.0, span[1] / RATE, np.inf)
            yield Clip(path.name, 0.0, word, speaker), samples


def _speakers(paths: Sequence[Path], pattern: str | None) -> list[str]:
    """The speaker of each recording, by its file name; empty where it does not tell."""
    if pattern is None:
        return [""] * len(paths)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if expression.groups != 1:
        raise ValueError(f"{pattern!r} needs one group, which is the speaker: such as '(person[0-9]+)'")
    found = [expression.search(path.name) for path in paths]
    if not any(found):
        raise ValueError(f"{pattern!r} finds no speaker in any file name, such as {paths[0].name!r}")
    return [match[1] or "" if match else "" for match in found]
