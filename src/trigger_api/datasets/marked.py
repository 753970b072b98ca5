"""Plain text with its named entities marked as Markdown marks links.

For one: ``[Anne-Marie Duff](PER) starred in the film.``
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"\[([^\]\n]+)\]\(([A-Z]+)\)")


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text without its marks, and what they marked: the first code point, the one after the last, and the type."""

    text: str
    names: tuple[tuple[int, int, str], ...]


def read_marked(path: Path) -> list[MarkedText]:
    """Read a file of one text a line; blank lines and headings are skipped.

    Raises:
        OSError: the file cannot be read.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return [parse_marked(line) for line in lines if line.strip() and not line.startswith("#")]


def parse_marked(line: str) -> MarkedText:
    """Take the marks off a line."""
    names: list[tuple[int, int, str]] = []
    removed = 0
    for match in _MARK.finditer(line):
        start = match.start() - removed
        names.append((start, start + len(match[1]), match[2]))
        removed += len(match[0]) - len(match[1])
    return MarkedText(_MARK.sub(r"\1", line), tuple(names))
