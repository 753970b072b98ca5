"""What kinds of errors a model makes on named entities, with examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from trigger_api.datasets.conll import Sample
from trigger_api.evaluation.entities.scores import Report, Tags
from trigger_api.tasks.entities.bio import Span, spans

_LONGEST = 16  # words of an example


def count(report: Report) -> dict[str, int]:
    """How many spans have a wrong type or wrong ends, were missed, or were made up."""
    kinds = Counter[str]()
    for sample, tags in report.errors:
        wanted, found = set(spans(sample.tags)), set(spans(tags))
        kinds.update(_missing(span, found) for span in wanted - found)
        kinds["made up"] += sum(not any(_overlap(span, other) for other in wanted) for span in found - wanted)
    return {kind: kinds[kind] for kind in ("wrong type", "wrong ends", "missed", "made up")}


def examples(report: Report, number: int) -> list[dict[str, str]]:
    """Choose short sentences with errors, spread evenly: the words, the spans wanted and those found.

    Sentences with somebody's address are left out: examples are published.
    """
    short = [
        error for error in report.errors if 5 <= len(error[0].words) <= _LONGEST and "@" not in str(error[0].words)
    ]
    chosen = short[:: max(1, len(short) // number)][:number]
    return [_example(sample, tags) for sample, tags in chosen]


def _missing(span: Span, found: set[Span]) -> str:
    near = [other for other in found if _overlap(span, other)]
    if any((other.first, other.last) == (span.first, span.last) for other in near):
        return "wrong type"
    return "wrong ends" if near else "missed"


def _overlap(one: Span, other: Span) -> bool:
    return one.first < other.last and other.first < one.last


def _example(sample: Sample, tags: Tags) -> dict[str, str]:
    named = {"wanted": _named(sample.words, sample.tags), "found": _named(sample.words, tags)}
    return {"text": " ".join(sample.words), **named}


def _named(words: Sequence[str], tags: Tags) -> str:
    return ", ".join(f"{' '.join(words[span.first : span.last])} {span.kind}" for span in spans(tags)) or "nothing"
