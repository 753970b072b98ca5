"""What synthetic speakers say apart from the word: ordinary words and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pydoc_data.topics import topics
from unicodedata import name, normalize

_WORDS = """
    about action active address after again agree already animal answer apple april attack august autumn away back
    bacon bank basket battery because begin believe better between bicycle blanket bottle bread bridge brother bucket
    butter button calculate camera candle captain carpet cavity celebrate chicken children circle classic climate
    coffee collect company complicate computer cousin create cricket damage daughter decorate delicate dictate
    difficult dinner direction doctor donate education eight elevate engine enter evening every excellent exit
    extra factory family fantastic favourite february finger forty forward fraction friday garden generate gravity
    hammer happy helicopter hesitate holiday honey hospital hundred imitate indicate inside island jacket january
    kitchen kettle ladder laptop late letter library light locate magic magnet marvellous measure medicate meditate
    message minute mistake monday motor mountain music narrate navigate necklace never nineteen nominate november
    number octopus office open operate orange package panic paper pattern pencil pepper perfect picnic plastic plate
    pocket practice problem quickly rabbit radio rainbow rattle relate remember rescue river rocket rotate saturday
    scatter second separate seven shadow silver simple sister skate soccer station straight strategy sugar summer
    sunday supper table tactic talk target taxi teacher telephone template thousand thursday ticket today tomorrow
    traffic translate travel triangle tuesday twenty update vacation vacuum valley violate visit wake wait waiting
    water weather wednesday weekend whatever window winter wonderful yellow yesterday zebra zero
"""
WORDS = tuple(_WORDS.split())

SENTENCES = (
    "the train to the coast leaves at a quarter past eight",
    "could you close the window before it starts to rain",
    "she put the last of the apples in a basket by the door",
    "we have not decided where to go this summer",
    "after the meeting they walked back along the river",
    "my neighbour practises the violin every evening",
    "what did you think of the film last night",
    "there is fresh bread and a little butter on the table",
    "the doctor said it would take about ten days",
    "turn left at the lights and then go straight on",
    "he has been waiting for that letter since monday",
    "how many people are coming to dinner tomorrow",
    "the actors took their places behind the curtain",
    "it was a quiet street with old trees on both sides",
    "please remind me to call the bank in the morning",
    "they were late again because of the traffic",
    "a good map matters more than a fast car",
    "nobody knew who had left the gate open",
    "I would like two coffees and a glass of water",
    "the children built a castle out of wet sand",
    "everything in the shop was half price that day",
    "in fact it never worked the way they had planned",
    "put the heavy boxes at the bottom of the stack",
    "the cat has eaten all of the chicken",
    "can you hear the wind in the chimney",
    "our flight was delayed for nearly three hours",
    "her brother collects stamps and old radios",
    "that lamp gives a very pleasant light",
    "I cannot find my keys or my wallet anywhere",
    "the lake freezes over in january and thaws in april",
)

# Python ships some 100 000 words of English prose: running text on any machine, without a network.
_SENTENCE_END = re.compile(r"[.:;]\s|\n\n")
_MARKUP = re.compile(r"[`*\"()]|\[\d+\]")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z ,'-]+")
_FEWEST_WORDS, _MOST_WORDS = 5, 16

_LETTERS = re.compile(r"[^\W_]")
_PUNCTUATION = re.compile(r"[^\w'-]|_")
_LONGEST, _FEWEST = 40, 3


class PhraseError(ValueError):
    """The word to train cannot be spoken."""


def checked(word: str) -> str:
    """The phrase in lower case, with single spaces and without punctuation: "Hey, Jarvis!" is "hey jarvis".

    Raises:
        PhraseError: it is empty, longer than 40 characters, not in Latin letters, or too short to be distinctive.
    """
    parts = (part.strip("'-") for part in _PUNCTUATION.sub(" ", word.lower().replace("\u2019", "'")).split())
    phrase = " ".join(part for part in parts if part)
    if not phrase:
        raise PhraseError("the word to train is empty")
    if len(phrase) > _LONGEST:
        raise PhraseError(f"the word to train is longer than {_LONGEST} characters: a trigger is a word or two")
    letters = _LETTERS.findall(phrase)
    if not all(letter.isdigit() or name(letter, "").startswith("LATIN ") for letter in letters):
        raise PhraseError(f"{phrase!r} is not in Latin letters: write it as an English speaker would")
    if len(letters) < _FEWEST:
        raise PhraseError(f"{phrase!r} is too short: a trigger has at least three letters or digits")
    return phrase


def file_name(phrase: str) -> str:
    """A phrase as the name of a model: "hey jarvis" is "hey-jarvis"."""
    plain = normalize("NFKD", phrase).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-") or "word"


def others(word: str) -> list[str]:
    """The words and sentences that do not contain the phrase."""
    return _without(word, (*WORDS, *SENTENCES))


def prose(word: str) -> list[str]:
    """A few thousand sentences of running text that do not contain the phrase."""
    return _without(word, _prose())


@cache
def _prose() -> tuple[str, ...]:
    text = "\n\n".join(topics[name] for name in sorted(topics))
    sentences = (" ".join(part.split()) for part in _SENTENCE_END.split(_MARKUP.sub("", text)))
    plain = (part.lower() for part in sentences if _PLAIN.fullmatch(part))
    return tuple(dict.fromkeys(part for part in plain if _FEWEST_WORDS <= len(part.split()) <= _MOST_WORDS))


def _without(word: str, texts: Iterable[str]) -> list[str]:
    return [text for text in texts if f" {word} " not in f" {text} "]
