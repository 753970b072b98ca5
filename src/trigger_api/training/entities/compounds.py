"""Hyphenated words and handles of the corpora, which split and tag them in different ways, in one form.

Treebanks split "Jong - un" and "London - based", others tag the whole of "London-based" or nothing of it. Here such
words are whole, and each of their parts has a tag; it counts nothing where the corpus does not tell it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from trigger_api.datasets.conll import Sample
from trigger_api.tasks.entities.bio import OUTSIDE
from trigger_api.tasks.entities.compounds import parts

Kinds = Callable[[str], str]
"""Which known names a text is: letters of ``gazetteers.KINDS``."""

# Numbers of the corpora: those that split hyphenated words; the one whose names end at hyphens; that with "@ name".
_SPLIT, _CUT, _TWEETS = (1, 2, 4), 4, 6
_PLACES, _COUNTRY, _NATIONALITY = set("cyr"), "y", "n"
# What follows a name that a hyphenated word holds: "London-based", "Canada-wide".
_SUFFIX = re.compile(r"[a-z]{2,}(?:ed|ing)|born|led|wide|style|made|held|run|built|like|free|area|language|friendly")
_PREFIX = re.compile(r"anti|co|ex|half|inter|mid|multi|neo|non|post|pre|pro|re|self|semi|sub|super|then|trans|ultra")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sentence of a corpus with a tag for each part of its words; ``unsure`` are the parts whose tag is not known."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    part: int
    unsure: frozenset[int] = field(default_factory=frozenset)


def tag_parts(sample: Sample, kinds: Kinds) -> Tagged:
    """Bring a sentence of one of the corpora into the common form."""
    words: list[str] = []
    tags: list[str] = []
    unsure: set[int] = set()
    for word, found in _words(sample):
        if len(found) == 1:
            found, doubts = _divide(word, found[0], kinds)
        else:
            doubts = []
        unsure |= {len(tags) + doubt for doubt in doubts}
        words.append(word)
        tags += found
    return Tagged(tuple(words), tuple(tags), sample.part, frozenset(unsure))


def _words(sample: Sample) -> Iterator[tuple[str, list[str]]]:
    """Words with the tags of their parts, or with one tag for all; split words are joined."""
    words, tags = sample.words, sample.tags
    index = 0
    while index < len(words):
        end = index + 1
        if sample.part == _TWEETS and _is_handle(words, tags, index):
            kind = tags[index + 1][2:]
            yield f"@{words[index + 1]}", [f"B-{kind}" if kind else OUTSIDE]
            index += 2
            continue
        while sample.part in _SPLIT and _is_joint(words, tags, end):
            end += 2
        yield "".join(words[index:end]), _mended(tags[index:end], sample.part)
        index = end


def _is_handle(words: Sequence[str], tags: Sequence[str], index: int) -> bool:
    if words[index] != "@" or index + 1 == len(words) or not re.fullmatch(r"\w+", words[index + 1]):
        return False
    return tags[index] != OUTSIDE or not tags[index + 1].endswith("LOC")


def _is_joint(words: Sequence[str], tags: Sequence[str], index: int) -> bool:
    """Whether the hyphen at ``index`` has lost its place inside a word; a dash between words has not."""
    if index + 1 >= len(words) or words[index] != "-":
        return False
    before, after = words[index - 1], words[index + 1]
    if not (_WORD.fullmatch(before) and _WORD.fullmatch(after)):
        return False
    if tags[index] != OUTSIDE:
        return tags[index + 1].startswith("I-")
    between = tags[index - 1] != OUTSIDE and tags[index + 1].startswith("B-")
    return bool(between or _SUFFIX.fullmatch(after) or _PREFIX.fullmatch(before.lower()))


def _mended(tags: Sequence[str], corpus: int) -> list[str]:
    """People of one corpus lost the second halves of their names to a name of its own."""
    mended = list(tags)
    for index in range(1, len(tags) - 1, 2):
        if corpus == _CUT and tags[index - 1].endswith("PER") and tags[index + 1] == "B-PER":
            mended[index : index + 2] = ["I-PER", "I-PER"]
    return mended


def _divide(word: str, tag: str, kinds: Kinds) -> tuple[list[str], list[int]]:
    """The tags of a word's parts from that of the whole, and which of them are in doubt."""
    divided = parts(word)
    if word.startswith("@") and len(word) > 1:
        return [tag] * len(divided), [0] if tag == OUTSIDE else []
    if len(divided) == 1:
        return [tag], []
    if tag == OUTSIDE:
        return _outside(divided, kinds)
    inside = f"I-{tag[2:]}"
    if not tag.endswith("PER") and _SUFFIX.fullmatch(divided[-1]) and divided[0][:1].isupper():
        first = tag if tag.startswith("I-") else _place(divided[0], kinds) or tag
        return [first, *[inside] * (len(divided) - 3), OUTSIDE, OUTSIDE], []
    return [tag, *[inside] * (len(divided) - 1)], []


def _place(name: str, kinds: Kinds) -> str:
    """The tag of a known place or nationality; empty for other names."""
    known = set(kinds(name))
    return "B-LOC" if _PLACES & known else "B-MISC" if _NATIONALITY in known else ""


def _outside(divided: Sequence[str], kinds: Kinds) -> tuple[list[str], list[int]]:
    """A word that a corpus leaves outside may hold the name of a place, or two."""
    first, last = divided[0], divided[-1]
    tags = [OUTSIDE] * len(divided)
    if len(divided) == 3 and first[:1].isupper():
        if _SUFFIX.fullmatch(last):
            tags[0] = _place(first, kinds) or OUTSIDE
            return tags, [0] if tags[0] == OUTSIDE else []
        if _COUNTRY in kinds(first) and _COUNTRY in kinds(last):
            return ["B-LOC", OUTSIDE, "B-LOC"], []
    return tags, [index for index, part in enumerate(divided) if part[:1].isupper() and kinds(part)]
