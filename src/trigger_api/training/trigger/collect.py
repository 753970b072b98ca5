"""What a word is trained from: synthetic and real clips of the word, and everything that is not the word."""

from __future__ import annotations

import fnmatch
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from trigger_api.datasets.confusables import confusables, distance, sounds_of
from trigger_api.datasets.speech import RATE, Samples, Spoken, audio_files, readable
from trigger_api.datasets.tts import Voice, say, voices
from trigger_api.training.trigger.scenes import Pools, said
from trigger_api.training.trigger.script import Script

_T = TypeVar("_T")

_HELD_OUT = 6  # every sixth speaker, or clip where names tell no speaker, is kept for calibration
_SILENT = 1e-3
_SHORT = 2 * RATE  # a clip up to this long is a word or two
_TELLABLE = 2  # sounds that differ: what is nearer than that, such as "active eight", no ear can tell apart
_SPEAKER = re.compile(r"^(.*[A-Za-z].*?)[_-]\d+$")


@dataclass(frozen=True)
class Sources:
    """Where material comes from, and patterns (as a shell has them) for what of it is left out.

    A pattern is matched against a voice's program (``flite``), a clip's file name without suffix (``*_act2``), its
    path (``*/alexa/*``), and words near in sound (``captivate``): so a model can be measured on people, programs and
    words that it never met.
    """

    word: str
    recordings: tuple[Path, ...] = ()
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    synthesizer: str | None = None
    without: tuple[str, ...] = ()

    def voices(self) -> list[Voice]:
        """The voices that may be used."""
        return [voice for voice in voices(self.synthesizer) if not self._left_out(voice.program)]

    def files(self, places: Iterable[Path]) -> list[Path]:
        """The files that may be used."""
        return [path for path in audio_files(places) if not self._left_out(path.stem, path.as_posix())]

    def near(self) -> list[str]:
        """Words near in sound that may be used, and can be told from the phrase."""
        wanted = sounds_of(self.word)
        found = (text for text in confusables(self.word) if distance(wanted, sounds_of(text)) >= _TELLABLE)
        return [text for text in found if not self._left_out(text)]

    def _left_out(self, *names: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in self.without)


@dataclass(frozen=True)
class Material:
    """The word as people and as programs say it; people saying other things, a part of them held out; and the rest."""

    real: Sequence[Spoken]
    synthetic: Sequence[Spoken]
    near: Sequence[Samples]
    people: Sequence[Samples]
    held_out: Sequence[Samples]
    spoken: Sequence[Samples]
    noise: Sequence[Samples]

    def pools(self, words: Sequence[Spoken]) -> Pools:
        """What scenes are built from, with these words."""
        return replace(pools([*self.people, *self.spoken], self.noise), words=words, near=self.near)


def pools(heard: Sequence[Samples], noise: Sequence[Samples]) -> Pools:
    """What scenes without any word are built from: short clips, and long ones, of people and voices; and noise."""
    others = [one.samples for one in _present(said(clip) for clip in heard if len(clip) <= _SHORT)]
    running = [clip for clip in heard if len(clip) > _SHORT]
    return Pools((), others or heard, running or heard, noise)


class Step(Protocol):
    """Is told what is being done, and which part of the whole has just been done."""

    def __call__(self, what: str, part: float = 0.0) -> None:
        """Say it."""


def collect(sources: Sources, cache: Path, seed: int, step: Step) -> Material:
    """Speak and read everything; `step` is told what is being done.

    Raises:
        ValueError: nobody says the word, or nobody says anything else, or what was given of either is of no use.
    """
    step("reading recordings")
    real, (heard, held_out), noise = _real(sources), people(sources), read_noise(sources)
    script = Script(sources.word, sources.voices(), seed)
    step("synthetic voices say the word", 0.03)
    synthetic = _trimmed(say(script.said(), cache))
    if not real and not synthetic:
        raise ValueError("nobody says the word: install espeak-ng, flite or festival, or give recordings")
    step("synthetic voices say what sounds like it", 0.05)
    near = [one.samples for one in _trimmed(say(script.near(sources.near()), cache))]
    step("synthetic voices say other things", 0.02)
    spoken = _present(say(script.others(), cache))
    if not heard and not spoken:
        raise ValueError("nothing is said but the word: install a synthesiser, or give recordings of other speech")
    return Material(real, synthetic, near, heard, held_out, spoken, noise)


def _real(sources: Sources) -> list[Spoken]:
    """The word as people say it. Somebody who gives recordings does not want a model without any."""
    real = _trimmed(read_all(sources.files(sources.recordings)))
    if sources.recordings and not real:
        raise ValueError("none of the recordings is of use: nobody speaks in them")
    return real


def people(sources: Sources) -> tuple[list[Samples], list[Samples]]:
    """People saying other things: those to train on, and those held out."""
    read = [(path, readable(path)) for path in sources.files(sources.negatives)]
    heard = [(path, clip) for path, clip in read if clip is not None and np.abs(clip).max(initial=0) > _SILENT]
    if sources.negatives and not heard:
        raise ValueError("there is no recording that can be read in the folders of other speech")
    kept, held_out = ([clip for path, clip in heard if held is is_held_out(path)] for held in (False, True))
    return (kept, held_out) if kept else (held_out, [])


def read_noise(sources: Sources) -> list[Samples]:
    """What is longer than a second of the noise."""
    return [clip for clip in read_all(sources.files(sources.noise)) if len(clip) > RATE]


def is_held_out(path: Path) -> bool:
    """Whether a recording of other speech is kept for calibration: all of a speaker, where the file's name tells."""
    named = _SPEAKER.match(path.stem)
    return zlib.crc32((named.group(1) if named else path.stem).encode()) % _HELD_OUT == 0


def read_all(paths: Sequence[Path]) -> list[Samples]:
    """Every file that can be read."""
    return _present(map(readable, paths))


def _present(clips: Iterable[_T | None]) -> list[_T]:
    return [clip for clip in clips if clip is not None]


def _trimmed(clips: Iterable[Samples | None]) -> list[Spoken]:
    return _present(said(clip) for clip in _present(clips))
