"""Hyphenated words: the network reads one word, and each of its parts has a tag.

"Anne-Marie" is one name, "London-based" holds one, and "US-China" two: no tag of the whole word is right for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

from trigger_api.tasks.entities.bio import OUTSIDE

T = TypeVar("T")

_HYPHEN = re.compile(r"(?<=\w)([-\u2010\u2011])(?=\w)")


def parts(word: str) -> list[str]:
    """The parts of a hyphenated word and the hyphens between them; any other word is its only part."""
    return _HYPHEN.split(word)


def all_parts(words: Sequence[str]) -> list[str]:
    """The parts of all words of a sentence."""
    return [part for word in words for part in parts(word)]


def by_word(words: Sequence[str], of_parts: Sequence[T]) -> Iterator[list[T]]:
    """Group what belongs to the parts of a sentence by its words."""
    rest = iter(of_parts)
    return (list(islice(rest, len(parts(word)))) for word in words)


def is_whole(tags: Sequence[str]) -> bool:
    """Whether the tags of a word's parts leave it whole: all are outside names, or all in the same one."""
    first, *rest = tags
    return all(tag == (OUTSIDE if first == OUTSIDE else f"I-{first[2:]}") for tag in rest)
