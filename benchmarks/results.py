"""RESULTS.md: one section per benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from load import LoadResult

RESULTS = Path(__file__).parent / "RESULTS.md"


def write(section: str) -> None:
    """Replace the section with the same title (its first line), or append it."""
    RESULTS.write_text(replaced(RESULTS.read_text() if RESULTS.exists() else "", section))


def replaced(results: str, section: str) -> str:
    """The results with this section instead of the one with its title."""
    title = section.splitlines()[0]
    head, found, tail = results.partition(title + "\n")
    rest = tail[tail.find("\n## ") + 1 :] if "\n## " in tail else ""
    before = (head if found else results).rstrip("\n")
    return (before + "\n\n" if before else "") + section + ("\n" + rest if rest else "")


def cells(name: str, baseline: str, rounds: Sequence[Mapping[str, LoadResult]]) -> str:
    """A server's cells in a table, medians over rounds: rate, ratio to the baseline (min, max), p50, p99, failures."""
    runs = [one[name] for one in rounds]
    ratios = [one[name].rate / one[baseline].rate for one in rounds]
    p50, p99 = (statistics.median(run.percentile(share) for run in runs) for share in (0.5, 0.99))
    return (
        f"{statistics.median(run.rate for run in runs):.1f} "
        f"| {statistics.median(ratios):.1f} ({min(ratios):.1f}, {max(ratios):.1f}) "
        f"| {p50:.0f} ms | {p99:.0f} ms | {sum(len(run.failures) for run in runs)}"
    )
