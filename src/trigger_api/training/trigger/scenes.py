"""Training material: short scenes in which a word is said, or is not, and when it ended.

A scene is 2.4 s of somebody saying something somewhere, with other speech or silence around it. Scenes with the word
and scenes with other words are made by the same steps, so that nothing but the word tells them apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets import audio_augmentation as augment
from trigger_api.datasets.speech import RATE, Samples, Spoken, speech_span
from trigger_api.evaluation.trigger.embedder import Embedder

SCENE_SECONDS = 2.4
SCENE = int(SCENE_SECONDS * RATE)
NO_WORD = -1.0

Scene = Callable[["Pools", np.random.Generator], tuple[Samples, float]]

_T = TypeVar("_T")

_FADE = RATE // 100
_NOISY = 1.7  # the larger, the more noisy scenes there are: of those with a noise, nearly half have less than 12 dB
_FRAGMENTS = 0.12  # of the scenes with other words
_LATEST = 2.05  # seconds: the word has ended by then
_BLOCK = 64  # scenes at a time
_WORTH_A_PROCESS = 500  # scenes; fewer are made sooner than a process has started


@dataclass(frozen=True)
class Pools:
    """Clips to build from. `words` hold the word; `others` and `near` (in sound) are other words; no other holds it."""

    words: Sequence[Spoken]
    others: Sequence[Samples]
    speech: Sequence[Samples]
    noise: Sequence[Samples]
    near: Sequence[Samples] = ()


@dataclass(frozen=True)
class Bank:
    """Scenes as embeddings ``float16[N, 30, 96]``, and the second at which the word ended (or `NO_WORD`)."""

    embeddings: NDArray[np.float16]
    ends: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ends)


def said(samples: Samples, span: tuple[int, int] | None = None) -> Spoken | None:
    """The stretch of a clip in which somebody speaks (`span`, if known), with soft edges; None where nobody does."""
    span = span or speech_span(samples)
    if span is None:
        return None
    stretch = faded(samples[max(0, span[0] - _FADE) : span[1]])
    return Spoken(stretch, len(stretch))


def faded(samples: Samples) -> Samples:
    """With 10 ms of fade at both ends, so that no cut is heard."""
    ramp = np.minimum(1, np.minimum(np.arange(len(samples)), np.arange(len(samples))[::-1]) / _FADE)
    return np.asarray(samples * ramp, np.float32)


def picked(clips: Sequence[_T], rng: np.random.Generator) -> _T:
    """One clip, any with the same chance."""
    return clips[int(rng.integers(len(clips)))]


def build(count: int, scene: Callable[[np.random.Generator], tuple[Samples, float]], seed: int) -> Bank:
    """`count` scenes, each from its own generator: the same seed gives the same bank on any number of cores."""
    processes = min(os.cpu_count() or 1, max(1, count // _WORTH_A_PROCESS))
    if processes == 1:
        return _build(scene, seed, np.arange(count))
    jobs = [(scene, seed, part) for part in np.array_split(np.arange(count), processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return joined(list(pool.map(_build, *zip(*jobs, strict=True))))


def _build(
    scene: Callable[[np.random.Generator], tuple[Samples, float]], seed: int, numbers: NDArray[np.int64]
) -> Bank:
    embedder, parts, ends = Embedder(), [], []
    for block in np.array_split(numbers, -(-len(numbers) // _BLOCK)):
        made = [scene(np.random.default_rng([seed, int(number)])) for number in block]
        parts.append(embedder.clips([samples for samples, _ in made]).astype(np.float16))
        ends += [end for _, end in made]
    return Bank(np.concatenate(parts), np.array(ends, np.float32))


def joined(banks: Sequence[Bank]) -> Bank:
    """All scenes of several banks."""
    return Bank(np.concatenate([bank.embeddings for bank in banks]), np.concatenate([bank.ends for bank in banks]))


def said_scene(pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
    """One of the pool's words, in a scene."""
    return word_scene(picked(pools.words, rng), pools, rng)


def word_scene(word: Spoken, pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
    """The word, by another voice, somewhere in a scene; and the second at which it ends."""
    samples = augment.another_voice(word.samples, rng)
    before, after = np.split(samples, [round(word.end * len(samples) / len(word.samples))])
    earliest = min(len(before), 2 * RATE)
    end = earliest if rng.random() < 0.15 else int(rng.uniform(earliest, _LATEST * RATE))
    canvas = np.zeros(SCENE, np.float32)
    _lay_before(canvas, end, before)
    _lay_after(canvas, end, after)
    if rng.random() < 0.5:
        _lay_before(canvas, end - len(before) - int(rng.exponential(0.12) * RATE), _neighbour(samples, pools, rng))
    if rng.random() < 0.4:
        gap = int((0.02 + rng.exponential(0.15)) * RATE)
        _lay_after(canvas, end + len(after) + gap, _neighbour(samples, pools, rng))
    scene = staged(canvas, pools, rng)
    if rng.random() < 0.25:
        scene[end + int(rng.exponential(0.1) * RATE) :] = 0  # the recording ends, and silence is put after it
    return scene, end / RATE


def other_scene(pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
    """Another word, or a piece of the word itself, in the same kind of scene."""
    if rng.random() < _FRAGMENTS and pools.words:
        other = _fragment(picked(pools.words, rng), rng)
    else:
        other = picked(pools.others, rng)
    return word_scene(Spoken(other, len(other)), pools, rng)[0], NO_WORD


def near_scene(pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
    """A word near in sound, in the same kind of scene."""
    other = picked(pools.near or pools.others, rng)
    return word_scene(Spoken(other, len(other)), pools, rng)[0], NO_WORD


def speech_scene(pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
    """Running speech without the word."""
    clip = picked(pools.speech, rng)
    start = int(rng.integers(max(1, len(clip) - SCENE)))
    piece = clip[start : start + int(1.5 * SCENE)]
    if rng.random() < 0.5:
        piece = augment.another_voice(piece, rng, strength=0.7)
    canvas = np.zeros(SCENE, np.float32)
    _lay_after(canvas, int(rng.integers(max(1, SCENE - len(piece)))), piece)
    return staged(canvas, pools, rng), NO_WORD


def noise_scene(pools: Pools, rng: np.random.Generator) -> tuple[Samples, float]:
    """Nobody speaks: one noise, and perhaps a second one that comes later or louder."""
    canvas = augment.noise(SCENE, rng, pools.noise)
    if rng.random() < 0.5:
        later = int(rng.integers(SCENE))
        louder = 10 ** rng.uniform(-1, 1.5)
        canvas[later:] += np.float32(louder) * _like(augment.noise(SCENE - later, rng, pools.noise), canvas)
    if rng.random() < 0.5:
        canvas = augment.filtered(canvas, augment.microphone(augment.spectrum_size(SCENE), rng), None)
    return augment.at_level(canvas, float(rng.uniform(-60, -3))), NO_WORD


def staged(canvas: Samples, pools: Pools, rng: np.random.Generator) -> Samples:
    """Put into a room, beside a noise, before a microphone, at a level."""
    impulse = augment.room(rng) if rng.random() < 0.5 else None
    heard = augment.filtered(canvas, None, impulse) if impulse is not None else canvas
    if rng.random() < 0.85:
        background = augment.noise(len(canvas), rng, pools.noise)
        heard = augment.mixed(heard, background, float(-3 + 45 * rng.random() ** _NOISY))
    if rng.random() < 0.8:
        heard = augment.filtered(heard, augment.microphone(augment.spectrum_size(len(canvas)), rng), None)
    if rng.random() < 0.1:
        heard = augment.overdriven(heard, rng)
    return augment.at_level(heard, float(rng.uniform(-45, -1)))


def conditions(clip: Samples, pools: Pools, rng: np.random.Generator) -> list[Samples]:
    """A recording as it is, by another voice, in a scene, and by telephone.

    People who are at hand for calibration come from few collections; those who will talk in front of the service sit in
    other rooms, before other microphones.
    """
    voice, other = (augment.another_voice(clip, rng) for _ in range(2))
    return [clip, voice, staged(other, pools, rng), augment.telephone(clip)]


def _neighbour(word: Samples, pools: Pools, rng: np.random.Generator) -> Samples:
    """Other speech for before or after a word, about as loud."""
    source = pools.speech if rng.random() < 0.6 or not pools.others else pools.others
    clip = picked(source, rng)
    start = int(rng.integers(max(1, len(clip) - RATE // 2)))
    piece = faded(clip[start : start + int(rng.uniform(0.3, 2.0) * RATE)])
    gain = 10 ** (rng.normal(0, 4) / 20) * np.abs(word).max() / (np.abs(piece).max() + 1e-4)
    return np.asarray(piece * gain, np.float32)


def _like(samples: Samples, model: Samples) -> Samples:
    """Brought to the mean power of another sound."""
    return np.asarray(samples * np.sqrt((model**2).mean() / ((samples**2).mean() + 1e-12)), np.float32)


def _lay_before(canvas: Samples, end: int, piece: Samples) -> None:
    length = min(max(end, 0), len(piece))
    if length:
        canvas[end - length : end] += piece[-length:]


def _lay_after(canvas: Samples, start: int, piece: Samples) -> None:
    length = min(max(len(canvas) - start, 0), len(piece))
    if length:
        canvas[start : start + length] += piece[:length]


def _fragment(word: Spoken, rng: np.random.Generator) -> Samples:
    """What is near enough to be mistaken for a word: its beginning, its end, itself backwards; or what follows it."""
    if word.end < len(word.samples):
        return faded(word.samples[word.end :])
    kind, cut = rng.random(), int(word.end * rng.uniform(0.3, 0.6))
    if kind < 0.4:
        return faded(word.samples[:cut])
    return faded(word.samples[cut:]) if kind < 0.8 else np.ascontiguousarray(word.samples[::-1])
