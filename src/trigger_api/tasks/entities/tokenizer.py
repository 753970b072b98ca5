"""Splits text into sentences and words, each with its exact position in the text.

Words follow Unicode's own rules (UAX #29, by ICU, with its dictionaries for scripts without spaces); sentences follow
Wikimedia's rules, which know abbreviations. Offsets count code points, as Python's slices do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sentencex
from icu4py.breakers import WordBreaker

_LANGUAGE = "en"
_SURROGATES = re.compile("[\ud800-\udfff]")
# UAX #29 keeps "Brien's" and "didn't" whole, but a name ends before its possessive and a verb before its contraction.
_CLITIC = re.compile(r".(?=(?:n['’]t|['’](?:s|m|d|t|ll|re|ve))$)", re.IGNORECASE | re.DOTALL)
# ... and it leaves the last full stop of "U.S." outside.
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")
# It also splits at the hyphen of "Anne-Marie" and after the sign of "@name": the places to join again.
_JOINTS = re.compile(r"(?<=\w)(?=[-\u2010\u2011@]\w)|(?<=\w[-\u2010\u2011])(?=\w)|(?<=@)(?=\w)")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or punctuation mark: ``text`` is the slice of the whole text from ``start`` to ``end`` (code points)."""

    text: str
    start: int
    end: int


def sentences(text: str) -> list[list[Token]]:
    """Split any text into sentences of tokens; white space belongs to none, and blank text has no sentences.

    Lone surrogates, which no tokeniser accepts, are kept in the tokens.
    """
    safe = _SURROGATES.sub("\ufffd", text)
    ends = _sentence_ends(safe)
    found: list[list[Token]] = [[] for _ in ends]
    index = 0
    for start, end in _joined(safe):
        while start >= ends[index]:
            index += 1
        found[index].append(Token(text[start:end], start, end))
    return [tokens for tokens in found if tokens]


def _sentence_ends(text: str) -> list[int]:
    ends = [int(each["end_index"]) for each in sentencex.get_sentence_boundaries(_LANGUAGE, text)]
    return [*ends, len(text) + 1]


def _joined(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of every word and punctuation mark, hyphenated words and handles whole."""
    joints = {match.start() for match in _JOINTS.finditer(text)}
    held: tuple[int, int] | None = None
    for start, end in _words(text):
        if held and start in joints:
            held = (held[0], end)
        else:
            if held:
                yield held
            held = (start, end)
    if held:
        yield held


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of every word and punctuation mark; clitics are split off, initials stay whole."""
    start = 0
    held: tuple[int, int] | None = None
    for segment in WordBreaker(text, _LANGUAGE):
        end = start + len(segment)
        if segment == "." and held and held[1] == start and _INITIALS.fullmatch(text, *held):
            held = (held[0], end)
        elif not segment.isspace():
            if held:
                yield held
            *complete, held = _split_clitic(text, start, end)
            yield from complete
        start = end
    if held:
        yield held


def _split_clitic(text: str, start: int, end: int) -> list[tuple[int, int]]:
    match = _CLITIC.search(text[start:end])
    cut = start + match.end() if match else end
    return [(start, cut), (cut, end)] if cut < end else [(start, end)]
