"""The evaluation on a corpus with transcripts: the word by itself, and in running sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from trigger_api.datasets.speech import RATE, Samples, readable
from trigger_api.datasets.utterances import Mention, Utterance, is_alone, is_said_once, mention, read_manifest
from trigger_api.evaluation.trigger.conditions import condition
from trigger_api.evaluation.trigger.detector import load
from trigger_api.evaluation.trigger.report import Figures, missed_figures, operating_points, point_figures, write
from trigger_api.evaluation.trigger.scoring import Clip, EvaluationRun, Word, score, without_word
from trigger_api.tasks.trigger.words import keyword

COUNTS, RATES = (0, 1, 3, 10), (0.5,)  # false accepts in all, and an hour
AFTER_SECONDS = 0.5
ALONE, IN_SENTENCES = "alone", "in sentences"


def evaluate_utterances(
    model: Path,
    manifest: Path,
    word: str | None = None,
    out: Path | None = None,
    *,
    noise: Sequence[Path] = (),
    snr_db: float = 10.0,
    seed: int = 0,
) -> Figures:
    """Measure a model on utterances, clean and, where noise is given, in noise.

    Args:
        model: folder of a head, or a file of openWakeWord's.
        manifest: see `datasets.utterances`.
        word: the word; the model's own if not given.
        out: where each condition's ``evaluation.json`` and ``evaluation.png`` go, in a folder of its own.
        noise: folders of noise that is mixed into everything.
        snr_db: how far speech is above it.
        seed: of the noise's places.

    Returns:
        The figures of each condition, ``clean`` and ``noise``: ``hours`` without the word; ``set_aside``, how many
        utterances count as neither, and why; and ``points``, see `report`.

    Raises:
        OSError: the model or the manifest cannot be read.
        ValueError: one of them cannot be used, nobody says the word, or there is no such noise.
    """
    utterances, changed, detector = read_manifest(manifest), condition(noise, snr_db), load(model)
    figures = {}
    for name, change in {"clean": None, **({"noise": changed} if changed else {})}.items():
        aside: Counter[str] = Counter()
        run = score(detector, clips(utterances, word or keyword(detector.card), aside), change, seed)
        figures[name] = _figures(run, aside)
        if out is not None:
            write(figures[name], run, out / name)
    return figures


def clips(utterances: Sequence[Utterance], word: str, aside: Counter[str]) -> Iterator[tuple[Clip, Samples]]:
    """The utterances as clips. Why others count as neither, with the word or without, is counted in `aside`.

    In a sentence, what comes before the word is known to be without it, where the word is said only once.
    """
    for utterance in utterances:
        samples, mentioned = readable(utterance.path), mention(utterance.transcript, word)
        if samples is None:
            aside["unreadable"] += 1
        elif mentioned is Mention.NONE:
            yield without_word(utterance.path.name, samples)
        elif mentioned is not Mention.SAID:
            aside[mentioned.value] += 1
        elif utterance.span is None or utterance.span[1] * RATE > len(samples):
            aside["said at an unknown time"] += 1
        else:
            yield _said(utterance, utterance.span, word), samples


def _said(utterance: Utterance, span: tuple[float, float], word: str) -> Clip:
    alone = is_alone(utterance.transcript, word)
    before = 0.0 if alone or not is_said_once(utterance.transcript, word) else span[0]
    kinds = (ALONE if alone else IN_SENTENCES, utterance.phone)
    return Clip(utterance.path.name, before, Word(*span, span[1] + AFTER_SECONDS), utterance.speaker, kinds)


def _figures(run: EvaluationRun, aside: Counter[str]) -> Figures:
    kinds = sorted(
        {kind for one in run.clips for kind in one.clip.kinds},
        key=lambda kind: (kind not in (ALONE, IN_SENTENCES), kind),
    )
    if not kinds:
        raise ValueError("nobody says the word in any of the utterances")
    points = {}
    for name, point in operating_points(run, COUNTS, RATES).items():
        by_kind = {kind: missed_figures(point.of_kind(kind)) for kind in kinds}
        points[name] = {**point_figures(point), "by_kind": by_kind}
    return {"hours": round(run.hours, 3), "set_aside": dict(aside), "points": points}
