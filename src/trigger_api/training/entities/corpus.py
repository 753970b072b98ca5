"""What named entities are trained on: tagged sentences, lists of names, and a vocabulary of one script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from unicodedata import name

from trigger_api.datasets.conll import Sample, read_conll
from trigger_api.tasks.entities.gazetteers import normalise_tokens
from trigger_api.tasks.entities.wordpiece import SPECIALS

SILVER = 7
# An epoch draws only this share of the sentences that were tagged by a machine.
_SILVER_SHARE = 0.25

_LISTS = {
    "cities_geonames_ccby4.txt": "c",
    "countries.txt": "y",
    "demonyms.txt": "n",
    "first_names.txt": "f",
    "loc_other_cc0.txt": "g",
    "org_cc0.txt": "o",
    "person_full_cc0.txt": "p",
    "subcountries_geonames_ccby4.txt": "r",
    "surnames_top1000_cc0.txt": "s",
    "surnames_us_unlicense.txt": "s",
}

# The list of first names has it, and "I love Paris" is seldom about a person.
_NO_FIRST_NAME = "paris"


def read_lists(folder: Path) -> dict[str, str]:
    """Read the gazetteer folder into names with the letters of their kinds."""
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for file, kind in _LISTS.items():
        for line in _lines(folder / file):
            if known := " ".join(normalise_tokens(line)):
                kinds[known].add(kind)
    kinds.get(_NO_FIRST_NAME, set()).discard("f")
    return {known: "".join(sorted(letters)) for known, letters in kinds.items()}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def read_corpus(folder: Path) -> list[Sample]:
    """Read the sentences tagged by hand (parts 1 to 6) and by a machine; these become part ``SILVER``."""
    silver = [Sample(each.words, each.tags, SILVER) for each in read_conll(folder / "gmb_silver.conll.xz")]
    return [*read_conll(folder / "train.conll.xz"), *silver]


def read_organisations(folder: Path) -> list[str]:
    """Read the organisations in the gazetteer folder, as they are written."""
    return [line for file, kind in _LISTS.items() if kind == "o" for line in _lines(folder / file)]


def sampling_probability(part: int) -> float:
    """The probability of a sentence of one of the corpora to be drawn in an epoch."""
    return _SILVER_SHARE if part == SILVER else 1.0


def select_vocabulary(vocabulary: Sequence[str]) -> list[int]:
    """Choose the rows of a published vocabulary to keep: those whose letters are Latin.

    They need not occur in the corpora: their embeddings are frozen, so that names are known that the corpora lack. The
    special rows come first, in the order of ``SPECIALS``.
    """
    first = [vocabulary.index(piece) for piece in SPECIALS]
    unused = [row for row, piece in enumerate(vocabulary) if piece.startswith("[unused")]
    latin = [row for row, piece in enumerate(vocabulary) if all(map(_is_latin, piece))]
    return [*first, *sorted(set(latin) - {*first, *unused})]


def _is_latin(character: str) -> bool:
    return character.isascii() or not character.isalpha() or name(character, "").startswith("LATIN")
