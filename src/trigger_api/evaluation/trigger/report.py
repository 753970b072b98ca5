"""What a run says: figures as JSON, tables for a person, and the curve of misses against false accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from trigger_api.evaluation.trigger.intervals import Interval
from trigger_api.evaluation.trigger.scoring import EvaluationRun, OperatingPoint, percentile_ms

Figures = dict[str, Any]

_NAMED = 10  # clips that the console names
_CURVE_POINTS = 150


def operating_points(run: EvaluationRun, counts: Sequence[int], rates: Sequence[float]) -> dict[str, OperatingPoint]:
    """The points at the card's thresholds, at so many false accepts in all, and at so many an hour, rounded down."""
    points = {name: run.at(threshold) for name, threshold in run.detector.thresholds.items()}
    allowed = {f"{count} in all": count for count in counts}
    allowed |= {f"{rate:g} an hour": math.floor(rate * run.hours) for rate in rates}
    thresholds = run.thresholds(max(allowed.values(), default=0))
    return points | {name: run.at(thresholds[count]) for name, count in allowed.items()}


def point_figures(point: OperatingPoint) -> Figures:
    """One point's figures: intervals are the value and its bounds, null where there is none; delays milliseconds."""
    figures: Figures = {
        "threshold": point.threshold,
        **missed_figures(point),
        "false_accepts": len(point.false_accepts),
        "false_accepts_per_hour": interval_figures(point.false_accept_rate),
        "delay_ms": {"p50": percentile_ms(point.delays, 50), "p95": percentile_ms(point.delays, 95)},
    }
    if any(point.speakers.values()):
        figures["speakers_heard_in"] = point.speakers
    figures["missed_clips"] = [clip.name for clip in point.missed]
    figures["fired_falsely"] = [
        {"clip": one.clip, "time_s": round(one.time_s, 2), "score": round(one.score, 4)} for one in point.false_accepts
    ]
    return figures


def missed_figures(point: OperatingPoint) -> Figures:
    """How many words there were and how many were missed."""
    missed = len(point.missed)
    return {"words": point.words, "missed": missed, "missed_share": interval_figures(point.miss_rate)}


def interval_figures(interval: Interval) -> list[float | None]:
    """Value and bounds; JSON has no NaN."""
    values = (interval.value, interval.low, interval.high)
    return [round(value, 4) if math.isfinite(value) else None for value in values]


def tables(points: Mapping[str, Figures], title: str = "") -> Iterator[Table]:
    """Points as a table, a row each; and what was missed of each kind of word as another, where there are kinds."""
    speakers = any("speakers_heard_in" in figures for figures in points.values())
    columns = ["at", "threshold", "missed", "%", "false accepts", "an hour", "delay ms"]
    drawn = Table(*columns, *(["speakers: all / some / none"] if speakers else []), title=title)
    for name, figures in points.items():
        drawn.add_row(name, *_cells(figures))
    yield drawn
    kinds = {kind: "" for figures in points.values() for kind in figures.get("by_kind", ())}
    if kinds:
        drawn = Table("missed at", *kinds)
        for name, figures in points.items():
            drawn.add_row(name, *(_missed(one) for one in figures["by_kind"].values()))
        yield drawn


def named_clips(figures: Figures) -> Iterator[str]:
    """Lines that name the first clips that were missed, and the first that fired falsely."""
    fired = [f"{one['clip']} ({one['time_s']} s, {one['score']:.3f})" for one in figures["fired_falsely"]]
    for title, names in (("missed", figures["missed_clips"]), ("fired falsely", fired)):
        if names:
            more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"{title}: {', '.join(names[:_NAMED])}{more}"


def write(figures: Figures, run: EvaluationRun, out: Path) -> None:
    """Write ``evaluation.json`` and ``evaluation.png``, the curve, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    draw(run, out / "evaluation.png")


def draw(run: EvaluationRun, path: Path, most_per_hour: float = 5.0) -> None:
    """Misses against false accepts an hour, from none to `most_per_hour`, as a PNG."""
    from matplotlib.figure import Figure

    most = min(_CURVE_POINTS, math.ceil(most_per_hour * run.hours))
    curve = [run.at(threshold) for threshold in dict.fromkeys(run.thresholds(most))]
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    rates, misses = [p.false_accept_rate.value for p in curve], [100 * p.miss_rate.value for p in curve]
    axes.plot(rates, misses, marker="o", markersize=3)
    axes.set(xlabel="false accepts an hour", ylabel="missed, %", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=90)


def _cells(figures: Figures) -> Iterator[str]:
    rate, low, high = figures["false_accepts_per_hour"]
    yield f"{figures['threshold']:.4f}"
    yield _missed(figures)
    yield _percent(figures)
    yield str(figures["false_accepts"])
    yield "-" if rate is None else f"{rate:.2f} ({low:.2f}-{high:.2f})"
    yield _slashed(figures["delay_ms"])
    if "speakers_heard_in" in figures:
        yield _slashed(figures["speakers_heard_in"])


def _missed(figures: Figures) -> str:
    return f"{figures['missed']} of {figures['words']}"


def _percent(figures: Figures) -> str:
    value, low, high = figures["missed_share"]
    return "-" if value is None else f"{100 * value:.1f}, {100 * low:.1f}-{100 * high:.1f}"


def _slashed(figures: Figures) -> str:
    return " / ".join("-" if value is None else str(value) for value in figures.values())
