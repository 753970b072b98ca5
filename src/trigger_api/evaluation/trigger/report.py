"""The report of a trigger evaluation: figures as JSON, a table in markdown, and the curve of misses against alarms."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from trigger_api.evaluation.trigger.listening import load
from trigger_api.evaluation.trigger.rates import Rate
from trigger_api.evaluation.trigger.trials import Change, Point, Trial, clips, listen, merged, percentile
from trigger_api.training.trigger import augment
from trigger_api.training.trigger.checks import LONGEST_S
from trigger_api.training.trigger.material import read_all
from trigger_api.training.trigger.recordings import RATE, Samples, audio_files

RATES = (0.1, 0.5, 1.0)  # false accepts an hour


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
) -> dict[str, JsonValue]:
    """Measure a model folder on recordings, as it would hear them live.

    Args:
        model: folder with ``model.keras`` and ``card.json``.
        positives: folders of recordings that hold the word once.
        negatives: folders of recordings that never do.
        out: where ``evaluation.json``, ``evaluation.md`` and ``evaluation.png`` go; nowhere if not given.
        noise: folders of noise that is mixed into everything.
        snr_db: how far speech is above it.
        reverb: whether every recording is put into a simulated room.
        seed: of the noise's places and the rooms.

    Raises:
        OSError: the model cannot be read.
        RuntimeError: a recording cannot.
        ValueError: there are no recordings, nobody speaks in those of the word, or there is no such noise.
    """
    if not math.isfinite(snr_db):
        raise ValueError(f"speech cannot be {snr_db} dB over noise: a finite number is needed")
    if not (audio_files(positives) and audio_files(negatives)):
        raise ValueError("both kinds of recordings are needed, with the word and without: one of them has none")
    change = surroundings(read_noise(noise) if noise else [], snr_db, reverb=reverb)
    listener = load(model)
    said = listen(listener, (one for one in clips(positives, said=True) if one.word), change, seed)
    if not said.takes:
        raise ValueError("nobody speaks in any of the recordings of the word")
    unsaid = listen(listener, clips(negatives, said=False), change, seed + 1)
    trial, left_out = merged([said, unsaid]), len(audio_files(positives)) - len(said.takes)
    figures = summary(trial, left_out)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        (out / "evaluation.md").write_text(table(trial, left_out), encoding="utf-8")
        draw(trial.curve(), out / "evaluation.png")
    return figures


def read_noise(places: Sequence[Path]) -> list[Samples]:
    """Every recording of noise, in folders or files, that is longer than a second and not silent.

    Raises:
        ValueError: there is none. What would be measured is silence, under the name of noise.
    """
    found = [clip for clip in read_all(audio_files(places)) if len(clip) > RATE and clip.any()]
    if not found:
        raise ValueError("there is no noise to mix in: no recording that can be read, lasts a second and is not silent")
    return found


def surroundings(noises: Sequence[Samples], snr_db: float, *, reverb: bool) -> Change | None:
    """What is done to every recording before it is heard; None if nothing is."""
    if not noises and not reverb:
        return None

    def change(samples: Samples, rng: np.random.Generator) -> Samples:
        heard = augment.filtered(samples, None, augment.room(rng)) if reverb else samples
        if not noises:
            return heard
        clip = noises[int(rng.integers(len(noises)))]
        background = np.resize(np.roll(clip, int(rng.integers(len(clip)))), len(heard))
        return augment.mixed(heard, background, snr_db)

    return change


def at_rates(trial: Trial) -> list[tuple[float, Point]]:
    """For each of `RATES`, the point with so many false accepts an hour, rounded down to a whole number of them."""
    hours = trial.at(1.0).hours
    return [(rate, trial.allowing(math.floor(rate * hours))) for rate in RATES]


def doubts(trial: Trial, left_out: int) -> dict[str, JsonValue]:
    """How many recordings of the word may not be what they should: anything counts as a hit in a word that is long."""
    lengths = [take.word[1] - take.word[0] for take in trial.takes if take.word]
    return {
        "recordings of the word left out, without speech": left_out,
        f"words that seem longer than {LONGEST_S} s": sum(length > LONGEST_S for length in lengths),
    }


def summary(trial: Trial, left_out: int = 0) -> dict[str, JsonValue]:
    """All figures of a trial, for which so many recordings were left out."""
    own = trial.at(trial.listener.decision.threshold)
    return {
        "at the card's threshold": _figures(own),
        **{f"at {rate} false accepts an hour": _figures(point) for rate, point in at_rates(trial)},
        **doubts(trial, left_out),
        "real-time factor": round(trial.cost, 5),
    }


def table(trial: Trial, left_out: int = 0) -> str:
    """The figures as a markdown table, and below it what may be wrong with the recordings."""
    own = trial.at(trial.listener.decision.threshold)
    rows = [("card", own), *((f"{rate} / h", point) for rate, point in at_rates(trial))]
    lines = [
        "| at | threshold | missed | false accepts an hour | delay p50 / p95 |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {point.threshold:.4f} | {_misses(point)} | {_alarms(point)} | {_delays(point)} |"
            for name, point in rows
        ),
        "",
        "; ".join(f"{what}: {count}" for what, count in doubts(trial, left_out).items()),
    ]
    return "\n".join(lines) + "\n"


def draw(curve: Sequence[Point], path: Path) -> None:
    """Misses against false accepts an hour, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([p.false_rate.value for p in curve], [100 * p.misses.value for p in curve], marker="o", markersize=3)
    axes.set(xlabel="false accepts an hour", ylabel="missed, %", xscale="symlog")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=90)


def _figures(point: Point) -> dict[str, JsonValue]:
    return {
        "threshold": round(point.threshold, 5),
        "words": point.words,
        "missed": _rate(point.misses),
        "false accepts": point.false_accepts,
        "hours": round(point.hours, 3),
        "false accepts an hour": _rate(point.false_rate),
        "delay ms p50": milliseconds(point.lags, 50),
        "delay ms p95": milliseconds(point.lags, 95),
        "timestamp error ms p95": milliseconds([abs(error) for error in point.errors], 95),
    }


def _rate(rate: Rate) -> JsonValue:
    """Value and interval; JSON has no NaN."""
    values = (rate.value, rate.low, rate.high)
    return [round(value, 4) if math.isfinite(value) else None for value in values]


def milliseconds(seconds: Sequence[float], share_below: float) -> int | None:
    """A percentile of some seconds, in whole milliseconds; None of none: JSON has no NaN."""
    value = percentile(seconds, share_below)
    return round(1000 * value) if math.isfinite(value) else None


def _misses(point: Point) -> str:
    rate = point.misses
    return f"{point.words - point.hits} of {point.words} ({100 * rate.low:.1f} - {100 * rate.high:.1f} %)"


def _alarms(point: Point) -> str:
    rate = point.false_rate
    return f"{rate.value:.2f} ({rate.low:.2f} - {rate.high:.2f})"


def _delays(point: Point) -> str:
    return f"{milliseconds(point.lags, 50)} / {milliseconds(point.lags, 95)} ms"
