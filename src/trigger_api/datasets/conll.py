"""Two-column files of words and BIO tags, with a blank line between sentences."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

_DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True, slots=True)
class Sample:
    """One tagged sentence, and the number of the part of the file that it belongs to."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    part: int = 0


def read_conll(path: Path) -> list[Sample]:
    """Read a file, plain or ``.xz``; ``-DOCSTART-`` lines start a new part.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line has no tag.
    """
    samples: list[Sample] = []
    part = 0
    for block in _text(path).split("\n\n"):
        rows = [_row(line) for line in block.split("\n") if line.strip()]
        if rows and rows[0][0] == _DOCUMENT:
            part += 1
        elif rows:
            words, tags = zip(*rows, strict=True)
            samples.append(Sample(words, tags, part))
    return samples


def _text(path: Path) -> str:
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        return file.read()


def _row(line: str) -> tuple[str, str]:
    cells = line.split(" ") if "\t" not in line else line.split("\t")
    if len(cells) < 2:
        raise ValueError(f"a word without a tag: {line!r}")
    return cells[0], cells[-1].strip()
