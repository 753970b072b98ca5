"""What a trigger is trained from: synthetic and real clips of the word, and everything that is not the word."""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trigger_api.training import phrases
from trigger_api.training.corpus import Pools, said
from trigger_api.training.recordings import RATE, Samples, audio_files, read
from trigger_api.training.speech import Line, Voice, say, voices

_SHORT = 2 * RATE  # a clip up to this long is a word or two
_PEOPLE = ("flite", "festival")  # built from people's recordings; espeak-ng is built from rules
_TAKES = {"flite": 24, "festival": 16}
_OTHERS = {"flite": 70, "festival": 30}


@dataclass(frozen=True)
class Sources:
    """Where material comes from, and patterns (as a shell has them) for what of it is left out.

    A pattern is matched against a voice's program (``flite``), a clip's file name without suffix (``*_act2``), and
    its half and path (``half-a:*/alexa/*``): so a model can be measured on people and clips it never met.
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
        return [path for path in audio_files(folders) if not self._left_out(path.stem, half_of(path))]

    def _left_out(self, *names: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in self.without)


def half_of(path: Path) -> str:
    """The path with ``half-a:`` or ``half-b:`` before it, by the file's folder and name alone.

    With it, the clips of each half can be measured by a model that was trained on the other.
    """
    odd = zlib.crc32(f"{path.parent.name}/{path.stem}".encode()) % 2
    return f"half-{'ab'[odd]}:{path.as_posix()}"


def gather(sources: Sources, cache: Path, seed: int, step: Callable[[str], None]) -> tuple[Pools, Pools]:
    """Pools whose words are real, and pools whose words are synthetic; all else is the same in both."""
    rng = np.random.default_rng([seed, 1])
    step("synthetic voices say the word")
    synthetic = _trimmed(say(_word_lines(sources, rng), cache))
    step("synthetic voices say other things")
    spoken = _present(say(_other_lines(sources, rng), cache))
    step("reading recordings")
    real = _trimmed(read_all(sources.files([sources.recordings] if sources.recordings else [])))
    heard = read_all(sources.files(sources.negatives)) + spoken
    noise = [clip for clip in read_all(sources.files(sources.noise)) if len(clip) > RATE]
    others = _trimmed(clip for clip in heard if len(clip) <= _SHORT)
    speech = [clip for clip in heard if len(clip) > RATE // 2 and np.abs(clip).max() > 1e-3]
    return Pools(real, others, speech, noise), Pools(synthetic, others, speech, noise)


def read_all(paths: Sequence[Path]) -> list[Samples]:
    """Every file that can be read."""
    clips = []
    for path in paths:
        try:
            clips.append(read(path))
        except RuntimeError:
            continue
    return clips


def _word_lines(sources: Sources, rng: np.random.Generator) -> list[Line]:
    return [
        Line(voice, sources.word, float(np.exp(rng.uniform(-0.4, 0.35))), float(rng.uniform(0.2, 0.8)))
        for voice in sources.voices()
        for _ in range(_TAKES.get(voice.program, 3))
    ]


def _other_lines(sources: Sources, rng: np.random.Generator) -> list[Line]:
    texts = phrases.others(sources.word)
    return [
        Line(voice, str(text), float(np.exp(rng.uniform(-0.3, 0.3))), float(rng.uniform(0.2, 0.8)))
        for voice in sources.voices()
        for text in rng.choice(texts, _OTHERS.get(voice.program, 8))
    ]


def _present(clips: Iterable[Samples | None]) -> list[Samples]:
    return [clip for clip in clips if clip is not None]


def _trimmed(clips: Iterable[Samples | None]) -> list[Samples]:
    return _present(said(clip) for clip in _present(clips))
