"""What a trigger is trained from: synthetic and real clips of the word, and everything that is not the word."""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from trigger_api.training.trigger import phrases, sentences
from trigger_api.training.trigger.corpus import Pools, said
from trigger_api.training.trigger.lookalikes import contains, dictionary, lookalikes, pronounced
from trigger_api.training.trigger.phones import aligned_span, labelled
from trigger_api.training.trigger.recordings import RATE, Samples, Spoken, audio_files, readable, seconds, speech_span
from trigger_api.training.trigger.speech import Line, Voice, say, voices
from trigger_api.training.trigger.splices import Splices, splices

_T = TypeVar("_T")

_HELD_OUT = 10  # every tenth clip of other speech is kept for calibration
_SILENT = 1e-3
_LISTENED = 90 * 60.0  # seconds of other speech that words are spliced from: PocketSphinx takes minutes for that
_SHORT = 2 * RATE  # a clip up to this long is a word or two
_BEYOND = RATE // 4  # samples: what sounds so long before or after a word is something else
_SENTENCE_TEMPOS = (0.85, 1.0, 1.2)
# A few voices of flite and festival are made from people; the many of espeak-ng are made from rules.
_TAKES = {"flite": 30, "festival": 30}
_OTHERS = {"flite": 70, "festival": 30}
_PROSE = {"flite": 80, "festival": 25}
_NEAR = {"flite": 30, "festival": 15}


@dataclass(frozen=True)
class Sources:
    """Where material comes from, and patterns (as a shell has them) for what of it is left out.

    A pattern is matched against a voice's program (``flite``), a clip's file name without suffix (``*_act2``) and its
    path (``*/alexa/*``), and the words near in sound (``captivate``): so a model can be measured on people, programs
    and words that it never met.
    """

    word: str
    recordings: Path | None = None
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    synthesizer: str | None = None
    without: tuple[str, ...] = ()

    def voices(self) -> list[Voice]:
        """The voices that may be used."""
        return [voice for voice in voices(self.synthesizer) if not self._left_out(voice.program)]

    def files(self, folders: Iterable[Path]) -> list[Path]:
        """The files that may be used."""
        return [path for path in audio_files(folders) if not self._left_out(path.stem, path.as_posix())]

    def near(self) -> list[str]:
        """The words near in sound that may be used."""
        return [word for word in lookalikes(self.word) if not self._left_out(word)]

    def unlike(self) -> list[str]:
        """All words of the dictionary that may be used, but those that have the phrase in them."""
        wanted = pronounced(self.word) or ()
        others = (word for word, sounds in dictionary().items() if not contains(sounds, wanted))
        return [word for word in others if not self._left_out(word)]

    def _left_out(self, *names: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in self.without)


@dataclass(frozen=True)
class Material:
    """The word as people and as programs say it; everything else; and a part of that kept from training.

    Where there is no recording of people, the word is spliced together from what they said.
    """

    real: Sequence[Spoken]
    synthetic: Sequence[Spoken]
    rest: Pools
    held_out: Pools

    def pools(self, words: Sequence[Spoken]) -> Pools:
        """What training may use, with these words."""
        return replace(self.rest, words=words)

    @property
    def words(self) -> Sequence[Spoken]:
        """Everybody saying the word."""
        return [*self.real, *self.synthetic]


def gather(sources: Sources, cache: Path, seed: int, step: Callable[[str], None]) -> Material:
    """Speak and read everything; `step` is told what is being done.

    Raises:
        ValueError: nobody says the word, or nobody says anything else, or what was given of either is of no use.
    """
    step("reading recordings")
    real, people = _real(sources), _people(sources)
    step("synthetic voices say the word")
    synthetic = _trimmed(say(_word_lines(sources, seed), cache))
    synthetic += sentences.speak(sources.voices(), sources.word, _SENTENCE_TEMPOS, cache)
    step("synthetic voices say other things")
    spoken = _present(say(_other_lines(sources, seed), cache))
    near = [one.samples for one in _trimmed(say(_near_lines(sources, seed), cache))]
    if not real and not synthetic:
        raise ValueError("nobody says the word: install espeak-ng, flite or festival, or give recordings")
    heard = people + spoken
    noise = [clip for clip in read_all(sources.files(sources.noise)) if len(clip) > RATE]
    if not heard:
        raise ValueError("nothing is said but the word: install a synthesiser, or give recordings of other speech")
    spliced = Splices() if real else _splices(sources, cache / "labels", seed, step)
    kept = [clip for number, clip in enumerate(heard) if number % _HELD_OUT]
    pools = _pools(kept or heard, noise)
    rest = replace(pools, near=near, others=[*pools.others, *spliced.others])
    return Material(real or spliced.said, synthetic, rest, _pools(heard[::_HELD_OUT], noise))


def _real(sources: Sources) -> list[Spoken]:
    """The word as people say it. Somebody who gives recordings does not want a model without any."""
    if sources.recordings is None:
        return []
    recordings = read_all(sources.files([sources.recordings]))
    real = _present(_recorded(clip, sources.word) for clip in recordings)
    if not real:
        raise ValueError(f"none of the recordings in {sources.recordings} is of use: nobody speaks there")
    return real


def _people(sources: Sources) -> list[Samples]:
    """People saying other things."""
    people = read_all(sources.files(sources.negatives))
    if sources.negatives and not people:
        raise ValueError("there is no recording that can be read in the folders of other speech")
    return people


def _recorded(samples: Samples, word: str) -> Spoken | None:
    """Where a recording says the word: by its energy, unless there is noise around, as PocketSphinx tells."""
    loud = speech_span(samples)
    heard = aligned_span(samples, word) if loud and pronounced(word) else None
    if loud and heard and (loud[0] < heard[0] - _BEYOND or loud[1] > heard[1] + _BEYOND):
        return said(samples, heard)
    return said(samples, loud)


def _splices(sources: Sources, labels: Path, seed: int, step: Callable[[str], None]) -> Splices:
    """None where nobody tells what sound is where: without PocketSphinx, or for a word that it does not know."""
    if pronounced(sources.word) is None:
        return Splices()
    step("words are spliced from what people said")
    people = labelled(_some(sources.files(sources.negatives)), labels)
    return splices(people, sources.word, sources.unlike(), sources.near(), seed)


def _some(files: Sequence[Path]) -> list[Path]:
    """Any of the files, as many as are listened to, in their order; none that is not audio."""
    lengths = np.array([seconds(path) for path in files])
    order = np.random.default_rng(0).permutation(len(files))
    enough = order[np.cumsum(lengths[order]) - lengths[order] < _LISTENED]
    return [files[number] for number in sorted(enough) if lengths[number]]


def _pools(heard: Sequence[Samples], noise: Sequence[Samples]) -> Pools:
    speech = [clip for clip in heard if len(clip) and np.abs(clip).max() > _SILENT]
    others = [clip.samples for clip in _trimmed(clip for clip in speech if len(clip) <= _SHORT)]
    running = [clip for clip in speech if len(clip) > _SHORT]
    return Pools([], others or speech, running or speech, noise)


def read_all(paths: Sequence[Path]) -> list[Samples]:
    """Every file that can be read."""
    return _present(map(readable, paths))


def _word_lines(sources: Sources, seed: int) -> list[Line]:
    return [
        _line(voice, sources.word, rng)
        for voice, rng in _seeded(sources.voices(), seed)
        for _ in range(_TAKES.get(voice.program, 2))
    ]


def _other_lines(sources: Sources, seed: int) -> list[Line]:
    texts, prose = phrases.others(sources.word), phrases.prose(sources.word)
    return [
        _line(voice, str(text), rng)
        for voice, rng in _seeded(sources.voices(), seed + 1)
        for text in (
            *rng.choice(texts, _OTHERS.get(voice.program, 8)),
            *rng.choice(prose, _PROSE.get(voice.program, 10)),
        )
    ]


def _near_lines(sources: Sources, seed: int) -> list[Line]:
    near = sources.near()
    return [
        _line(voice, str(text), rng)
        for voice, rng in _seeded(sources.voices() if near else (), seed + 2)
        for text in rng.choice(near, _NEAR.get(voice.program, 6))
    ]


def _seeded(voices: Iterable[Voice], seed: int) -> Iterator[tuple[Voice, np.random.Generator]]:
    """Every voice with its own generator: who else speaks changes nothing, and the cache is of use to other runs."""
    for voice in voices:
        yield voice, np.random.default_rng([seed, zlib.crc32(f"{voice.program} {voice.name}".encode())])


def _line(voice: Voice, text: str, rng: np.random.Generator) -> Line:
    return Line(voice, text, float(np.exp(rng.uniform(-0.4, 0.35))), float(rng.uniform(0.2, 0.8)))


def _present(clips: Iterable[_T | None]) -> list[_T]:
    return [clip for clip in clips if clip is not None]


def _trimmed(clips: Iterable[Samples | None]) -> list[Spoken]:
    return _present(said(clip) for clip in _present(clips))
