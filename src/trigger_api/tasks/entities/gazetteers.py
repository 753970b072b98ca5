"""Lists of known names, and which words of a sentence they name.

The shipped file is a text compressed by xz: ``kinds<TAB>name`` a line, the kinds as letters (see ``KINDS``), the name
in small letters with one space between its parts.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KINDS: dict[str, str] = {
    "c": "city",
    "f": "first name",
    "g": "geographical feature",
    "n": "nationality",
    "o": "organisation",
    "p": "person",
    "r": "region",
    "s": "surname",
    "y": "country",
}
FEATURES = 2 * len(KINDS)
_LONGEST_NAME = 5
_PART = re.compile(r"\w+")


def parts(text: str) -> list[str]:
    """What of a text counts when names are compared: its letters and digits, in small letters."""
    return _PART.findall(text.casefold())


class Gazetteers:
    """Known names with the kinds of thing they name."""

    def __init__(self, names: Mapping[str, str]) -> None:
        order = {kind: index for index, kind in enumerate(KINDS)}
        self._kinds = {name: [order[kind] for kind in kinds] for name, kinds in names.items()}

    @classmethod
    def load(cls, path: Path) -> Gazetteers:
        """Read the shipped file.

        Raises:
            OSError: the file cannot be read.
            lzma.LZMAError: it is not an xz file.
        """
        with lzma.open(path, "rt", encoding="utf-8") as file:
            return cls({name: kinds for kinds, name in (line.rstrip("\n").split("\t") for line in file)})

    def match(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Mark where known names begin (first half of the columns) and go on (second half): (words, FEATURES).

        Marks such as hyphens and stops don't count, so that "St. Louis" is found however it was split.
        """
        marks = np.zeros((len(words), FEATURES), np.float32)
        atoms = [(atom, index) for index, word in enumerate(words) for atom in parts(word)]
        for start in range(len(atoms)):
            for stop in range(start + 1, min(start + _LONGEST_NAME, len(atoms)) + 1):
                kinds = self._kinds.get(" ".join(atom for atom, _ in atoms[start:stop]), ())
                first, last = atoms[start][1], atoms[stop - 1][1]
                for kind in kinds:
                    marks[first, kind] = 1
                    marks[first + 1 : last + 1, len(KINDS) + kind] = 1
        return marks


def write_gazetteers(path: Path, names: Mapping[str, str]) -> None:
    """Write names with their kinds in the shipped form, sorted, so that equal lists make equal files."""
    with lzma.open(path, "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME, newline="\n") as file:
        file.writelines(f"{kinds}\t{name}\n" for name, kinds in sorted(names.items()))
