"""Which speech sound is heard when: PocketSphinx's alignments of recordings, and what flite tells of its own voices.

Needs pocketsphinx, whose model has heard many people. A short clip that is named after the word it says is aligned with
that word; of any other one, PocketSphinx first writes down what it hears. Its mistakes sound like what was said.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.training.trigger.recordings import RATE, Samples, keep, read, readable
from trigger_api.training.trigger.sentences import segments
from trigger_api.training.trigger.speech import voices

Labels = NDArray[np.uint8]

SILENCE = 0
# The sounds of English as its pronouncing dictionaries write them (ARPAbet).
SOUNDS = (
    *("SIL", "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY"),
    *("JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)
HOP = RATE // 100

_NUMBER = {sound: number for number, sound in enumerate(SOUNDS)}
_VARIANT = re.compile(r"\(\d+\)$")
_SHORTEST_NAME = 4  # letters; fewer may be a number in base 16
_NAMED = 4 * RATE  # a clip of more samples mostly says more than the word that it is named after
_GENERIC = """
    all audio background backgrounds chapter clip clips command commands common corpus data dataset dev english female
    file files male microphone mono negative negatives new news noise other others part people person positive positives
    raw reader record recorded recorder recording recordings sample samples sentence sentences session silence sound
    sounds speaker speakers speech spoken stereo take takes test testing tests track train training unknown user
    utterance validation voice voices wav wave word words
"""
_UNSAID = frozenset(_GENERIC.split())
_AT_ONCE = 16
_FLITE = {"ax": "AH", "axr": "ER"}  # what flite calls otherwise


@dataclass(frozen=True)
class Utterance:
    """16 kHz samples, and the number in `SOUNDS` of what is heard in each 10 ms of them."""

    samples: Samples
    labels: Labels


def labelled(
    paths: Sequence[Path], folder: Path, processes: int = 2, done: Callable[[float], None] = lambda part: None
) -> list[Utterance]:
    """Clips with the sounds in them; left out are those that cannot be read or in which PocketSphinx finds no words.

    Args:
        paths: audio files.
        folder: keeps the labels, so that nothing is listened to twice.
        processes: how many listen.
        done: told the share that has been listened to, piece by piece.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        pairs = zip(paths, pool.map(_labels, paths, [folder] * len(paths), chunksize=_AT_ONCE), strict=True)
        return [one for path, labels in pairs if (one := _utterance(path, labels, done, len(paths)))]


def read_aloud(texts: Sequence[str], folder: Path, seed: int) -> list[Utterance]:
    """Texts by flite's voices in turn, which tell what sound is when; none without flite."""
    names = [voice.name for voice in voices() if voice.program == "flite"]
    tempos = np.exp(np.random.default_rng(seed).uniform(-0.3, 0.3, len(texts)))
    folder.mkdir(parents=True, exist_ok=True)

    def read_one(number: int) -> Utterance | None:
        out = folder / f"{number}.wav"
        return _read_aloud(names[number % len(names)], texts[number], float(tempos[number]), out)

    with ThreadPoolExecutor(2) as pool:
        return [one for one in pool.map(read_one, range(len(texts) if names else 0)) if one is not None]


def _read_aloud(voice: str, text: str, tempo: float, out: Path) -> Utterance | None:
    try:
        found, samples = segments(voice, text, tempo, out), read(out)
    except (OSError, subprocess.SubprocessError, RuntimeError):
        return None
    finally:
        out.unlink(missing_ok=True)
    track, start = np.full(-(-len(samples) // HOP), SILENCE, np.uint8), 0.0
    for name, end in found:
        sound = _FLITE.get(name, name.upper())
        track[round(100 * start) : round(100 * end)] = _NUMBER.get(sound, SILENCE)
        start = end
    return Utterance(samples, track)


def _utterance(path: Path, labels: Labels, done: Callable[[float], None], count: int) -> Utterance | None:
    done(1 / count)
    return Utterance(read(path), labels) if len(labels) else None


def _labels(path: Path, folder: Path) -> Labels:
    """What is kept of a clip's sounds, or else what is heard now; empty where no words are."""
    name = f"{path.parent.name}/{path.name}|".encode()  # it may tell what is said
    kept = folder / f"{hashlib.sha256(name + path.read_bytes()).hexdigest()[:24]}.npy"
    if not kept.exists():
        samples = readable(path)
        if samples is None:
            return np.zeros(0, np.uint8)
        keep(kept, listened(samples, _named(path) if len(samples) <= _NAMED else None))
    return np.asarray(np.load(kept), np.uint8)


def _named(path: Path) -> str | None:
    """The word that a short clip is named after, by itself or by its folder; None if there is none."""
    first, folder = re.split(r"[^a-z]", path.stem)[0], path.parent.name
    known = [name for name in (first, folder) if len(name) >= _SHORTEST_NAME or name == folder]
    return next((name for name in known if name not in _UNSAID and _decoder().lookup_word(name)), None)


def listened(samples: Samples, text: str | None) -> Labels:
    """The sounds of 16 kHz samples that say `text`, or whatever they say."""
    pcm, decoder = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes(), _decoder()
    try:
        text = text or _text(decoder, pcm)
        if not text:
            return np.zeros(0, np.uint8)
        decoder.set_align_text(text)
        _hear(decoder, pcm)
        decoder.set_alignment()
        _hear(decoder, pcm)
        return _track(decoder.get_alignment(), len(samples))
    except RuntimeError:  # the words do not fit the sound
        return np.zeros(0, np.uint8)
    finally:
        decoder.activate_search()


def aligned_span(samples: Samples, text: str) -> tuple[int, int] | None:
    """Where 16 kHz samples that say `text` begin and end to say it, in samples; None where the words do not fit."""
    heard = np.flatnonzero(listened(samples, text) != SILENCE)
    return (int(heard[0]) * HOP, min(len(samples), int(heard[-1] + 1) * HOP)) if len(heard) else None


def _track(alignment: Any, samples: int) -> Labels:
    track = np.full(-(-samples // HOP), SILENCE, np.uint8)
    for sound in (sound for word in alignment for sound in word):
        track[sound.start : sound.start + sound.duration] = _NUMBER.get(sound.name, SILENCE)
    return track


def _text(decoder: Any, pcm: bytes) -> str:
    _hear(decoder, pcm)
    return " ".join(_words(decoder))


def _words(decoder: Any) -> Iterator[str]:
    segments = decoder.seg() or ()
    return (_VARIANT.sub("", one.word) for one in segments if one.word[0] not in "<[+")


def _hear(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL", fwdflat=False, bestpath=False)
