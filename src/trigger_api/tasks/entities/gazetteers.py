"""Gazetteers: lists of known names, and which words of a sentence they match.

The file is text compressed by xz: ``kinds<TAB>name`` on each line, the kinds as letters (see ``KINDS``), the name in
lower case with single spaces between its tokens.
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
_MAX_TOKENS = 5
_TOKEN = re.compile(r"\w+")


def normalise_tokens(text: str) -> list[str]:
    """The tokens by which names are compared: letters and digits, in lower case."""
    return _TOKEN.findall(text.casefold())


class Gazetteers:
    """Known names and their kinds."""

    def __init__(self, names: Mapping[str, str]) -> None:
        order = {kind: index for index, kind in enumerate(KINDS)}
        self._letters = names
        # There are many names, and few sets of kinds.
        self._columns = {kinds: [order[kind] for kind in kinds] for kinds in {"", *names.values()}}

    @classmethod
    def load(cls, path: Path) -> Gazetteers:
        """Read a gazetteers file.

        Raises:
            OSError: the file cannot be read.
            lzma.LZMAError: it is not an xz file.
        """
        lines = lzma.decompress(path.read_bytes()).decode("utf-8").rstrip("\n").split("\n")
        return cls({name: kinds for kinds, name in (line.split("\t") for line in lines if line)})

    def kinds(self, text: str) -> str:
        """The letters of the kinds of names that all of ``text`` is; empty if it is not known."""
        return self._letters.get(" ".join(normalise_tokens(text)), "")

    def match(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Features of shape ``(words, FEATURES)``: where known names begin (first half of the columns) and continue.

        Punctuation is ignored, so that "St. Louis" is found however it was split into words.
        """
        features = np.zeros((len(words), FEATURES), np.float32)
        tokens = [(token, index) for index, word in enumerate(words) for token in normalise_tokens(word)]
        for start in range(len(tokens)):
            for stop in range(start + 1, min(start + _MAX_TOKENS, len(tokens)) + 1):
                kinds = self._columns[self._letters.get(" ".join(token for token, _ in tokens[start:stop]), "")]
                first, last = tokens[start][1], tokens[stop - 1][1]
                for kind in kinds:
                    features[first, kind] = 1
                    features[first + 1 : last + 1, len(KINDS) + kind] = 1
        return features


def write_gazetteers(path: Path, names: Mapping[str, str]) -> None:
    """Write names and their kinds to a gazetteers file, sorted, so that equal lists make equal files."""
    with lzma.open(path, "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME, newline="\n") as file:
        file.writelines(f"{kinds}\t{name}\n" for name, kinds in sorted(names.items()))
