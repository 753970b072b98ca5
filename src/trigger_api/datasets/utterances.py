"""Utterances with transcripts, and whether a transcript contains a word.

The manifest is a CSV file with the columns ``file``, ``speaker``, ``transcript``, ``word_start_s``, ``word_end_s`` and
``phone``; file names are relative to it. Both times are 0 if it is unknown when the word is spoken.

Transcripts are marked up as in the WUW Corpus II: ``[noise]``, ``{breath}`` and ``<as>`` are not speech, ``((...))``
was not understood with certainty, ``_..._`` and the prefixes ``* + ^ ~`` mark unusual pronunciations, and ``-`` marks
where a word was cut off.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

COLUMNS = ("file", "speaker", "transcript", "word_start_s", "word_end_s", "phone")

_SOUNDS = re.compile(r"\[[^\]]*\]+|\{[^}]*\}|<[^>]*>")
_MARKED = re.compile(r"\(\(.*?\)\)|_[^_]*_")
_CUT = re.compile(r"([^\W_]*)-([^\W_]*)")
_FRAGMENT = 3  # letters from which a part of a word counts as an attempt


@dataclass(frozen=True)
class Utterance:
    """A recording of one speaker. `span` is when the word is spoken, in seconds; None if unknown."""

    path: Path
    speaker: str
    transcript: str
    span: tuple[float, float] | None
    phone: str


class Mention(Enum):
    """How a transcript contains a word: as it is; only marked or damaged; only within another word; not at all."""

    SAID = "said"
    ATTEMPT = "attempt"
    DERIVED = "derived"
    NONE = "none"


def read_manifest(manifest: Path) -> list[Utterance]:
    """Read the utterances of a manifest.

    Raises:
        OSError: it cannot be read.
        ValueError: a column is missing, or a time is not a number.
    """
    with manifest.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{manifest}: missing column: {', '.join(missing)}")
        try:
            return [_utterance(manifest.parent, row) for row in reader]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{manifest}, line {reader.line_num}: {error}") from error


def _utterance(folder: Path, row: dict[str, str]) -> Utterance:
    start, end = float(row["word_start_s"]), float(row["word_end_s"])
    span = (start, end) if 0 <= start < end else None
    return Utterance(folder / row["file"], row["speaker"], row["transcript"], span, row["phone"])


def mention(transcript: str, word: str) -> Mention:
    """How a transcript contains a word or phrase, regardless of case.

    It is said if it occurs unmarked and as a word of its own. It is attempted if it occurs only marked: within
    ``_..._`` or ``((...))``, next to one of ``* + ^ ~ _ -``, cut off, as a fragment of at least three letters beside a
    hyphen (``oper-``, ``-perator``), or interrupted by a sound (``ope{breath}rator``). In a longer word (``operators``,
    ``theoperator``) it is derived.
    """
    text, phrase = transcript.casefold(), _phrase(word)
    if _plain(phrase).search(_MARKED.sub(" ", _spoken(text))):
        return Mention.SAID
    marked = [*_MARKED.findall(text), *re.findall(rf"[*+^~_-]{phrase}|{phrase}[_-]", text)]
    if re.search(phrase, " ".join(marked)) or _cut(text, word.casefold()):
        return Mention.ATTEMPT
    if re.search(phrase, text):
        return Mention.DERIVED
    return Mention.ATTEMPT if re.search(phrase, _SOUNDS.sub("", text)) else Mention.NONE


def is_alone(transcript: str, word: str) -> bool:
    """Whether the word is said, and nothing else intelligible."""
    rest = _plain(_phrase(word)).sub(" ", _spoken(transcript))
    return mention(transcript, word) is Mention.SAID and not re.search(r"\w", rest)


def is_said_once(transcript: str, word: str) -> bool:
    """Whether the word is said exactly once, and in no other form."""
    rest = _plain(_phrase(word)).sub(" ", _spoken(transcript), count=1)
    return mention(transcript, word) is Mention.SAID and mention(rest, word) is Mention.NONE


def _spoken(transcript: str) -> str:
    """A transcript in lower case, without what is not speech."""
    return _SOUNDS.sub(" ", transcript.casefold())


def _phrase(word: str) -> str:
    return r"\s+".join(map(re.escape, word.casefold().split()))


def _plain(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w*+^~-]){phrase}(?![\w-]|'\w)")


def _cut(text: str, word: str) -> bool:
    """Whether the word's beginning or end occurs beside a hyphen."""
    fragments = [part for pair in _CUT.findall(text) for part in pair if len(part) >= _FRAGMENT]
    return any(word.startswith(part) or word.endswith(part) for part in fragments)
