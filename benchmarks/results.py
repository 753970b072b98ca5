"""RESULTS.md: one section a benchmark."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def write(section: str) -> None:
    """Put a section into its old place, or at the end; its first line is its title."""
    RESULTS.write_text(replaced(RESULTS.read_text() if RESULTS.exists() else "", section))


def replaced(results: str, section: str) -> str:
    """The results with this section instead of the one with its title."""
    title = section.splitlines()[0]
    head, found, tail = results.partition(title + "\n")
    rest = tail[tail.find("\n## ") + 1 :] if "\n## " in tail else ""
    before = (head if found else results).rstrip("\n")
    return (before + "\n\n" if before else "") + section + ("\n" + rest if rest else "")
