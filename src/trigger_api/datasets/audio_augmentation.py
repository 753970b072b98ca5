"""Augmentation of recorded speech: pitch, tempo, rooms, microphones, noise, levels.

Functions take 16 kHz samples and return new ones. A word ends at the same sample as before, unless a function says how
it moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from trigger_api.datasets.speech import RATE, Samples

Spectrum = NDArray[np.complex64]

_WSOLA = 480  # samples per segment: 30 ms, two periods of a low voice
_SEARCH = 120
_MU = 255  # of G.711's companding


def change_tempo(samples: Samples, factor: float) -> Samples:
    """Change the tempo (faster above 1) but not the pitch, by overlapping segments where they fit best (WSOLA)."""
    half = _WSOLA // 2
    window = np.hanning(_WSOLA).astype(np.float32)
    padded = np.concatenate([np.zeros(half + _SEARCH, np.float32), samples, np.zeros(_WSOLA * 2, np.float32)])
    count = max(1, int(len(samples) / factor / half))
    out = np.zeros((count + 1) * half + half, np.float32)
    start = _SEARCH
    for k in range(count + 1):
        if k:
            start = _best_fit(
                padded, start + half, min(int(k * half * factor) + _SEARCH, len(padded) - _WSOLA - _SEARCH)
            )
        out[k * half : k * half + _WSOLA] += window * padded[start : start + _WSOLA]
    return out[half : half + int(len(samples) / factor)]


def _best_fit(padded: Samples, natural: int, wanted: int) -> int:
    """The position near `wanted` whose segment best continues the previous one."""
    target = padded[natural : natural + _WSOLA]
    if len(target) < _WSOLA:
        return wanted
    scores = np.correlate(padded[wanted - _SEARCH : wanted + _SEARCH + _WSOLA], target, "valid")
    return wanted - _SEARCH + int(scores.argmax())


def change_speed(samples: Samples, factor: float) -> Samples:
    """Change the speed (faster above 1) with pitch and formants, as a tape does."""
    return np.asarray(soxr.resample(samples, RATE * factor, RATE, quality="MQ"), np.float32)


def another_voice(samples: Samples, rng: np.random.Generator, *, strength: float = 1.0) -> Samples:
    """Change formants and pitch by up to 18 %, and independently the tempo by up to 25 %."""
    throat = float(np.exp(rng.uniform(-0.17, 0.17) * strength))
    tempo = float(np.exp(rng.uniform(-0.25, 0.25) * strength))
    return change_tempo(change_speed(samples, throat), tempo / throat)


def microphone(size: int, rng: np.random.Generator) -> Spectrum:
    """A random frequency response for the ``rfft`` of `size` samples: tilt, resonances, at times a narrow band."""
    hertz = np.maximum(np.arange(size // 2 + 1) * RATE / size, 20.0)
    octaves = np.log2(hertz / 1_000)
    gain_db = rng.normal(0, 2.0) * octaves
    for centre, height, width in zip(rng.uniform(-4, 3, 3), rng.normal(0, 4, 3), rng.uniform(0.3, 1.5, 3), strict=True):
        gain_db += height * np.exp(-(((octaves - centre) / width) ** 2))
    if rng.random() < 0.3:
        gain_db -= 24 * np.maximum(0, np.log2(hertz / rng.uniform(3_000, 7_500))) * rng.uniform(1, 4)
    if rng.random() < 0.3:
        gain_db -= 12 * np.maximum(0, np.log2(rng.uniform(80, 400) / hertz)) * rng.uniform(1, 2)
    return np.asarray(10 ** (np.maximum(gain_db, -80) / 20), np.complex64)


def room(rng: np.random.Generator) -> Samples:
    """A random impulse response: direct sound at 0, early echoes, and a tail that decays by 60 dB in 0.1 to 0.8 s."""
    seconds = float(rng.uniform(0.1, 0.8))
    times = np.arange(int(min(seconds, 0.5) * RATE)) / RATE
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / seconds)
    tail[: int(rng.uniform(0.002, 0.02) * RATE)] = 0
    for delay in rng.uniform(0.001, 0.03, 5):
        tail[int(delay * RATE)] += rng.normal(0, 3)
    tail *= 10 ** (-rng.uniform(0, 15) / 20) / np.sqrt((tail**2).sum() + 1e-9)
    tail[0] = 1.0
    return tail.astype(np.float32)


def filtered(samples: Samples, response: Spectrum | None, impulse: Samples | None) -> Samples:
    """Apply a room and a microphone; the length stays. `response` is for ``spectrum_size(len(samples))``."""
    size = spectrum_size(len(samples))
    spectrum = rfft(samples, size)
    if impulse is not None:
        spectrum = spectrum * rfft(impulse, size)
    if response is not None:
        spectrum = spectrum * response
    return np.asarray(irfft(spectrum, size)[: len(samples)], np.float32)


def spectrum_size(samples: int) -> int:
    """The transform length that filters this many samples without wrapping the room's tail around."""
    return int(next_fast_len(samples + RATE // 2, real=True))


def noise(length: int, rng: np.random.Generator, clips: Sequence[Samples]) -> Samples:
    """`length` samples of recorded noise, or of stationary coloured noise from white to brown."""
    if clips and rng.random() < 0.6:
        clip = clips[int(rng.integers(len(clips)))]
        return np.resize(np.roll(clip, int(rng.integers(len(clip)))), length)
    size = next_fast_len(length, real=True)
    shape = np.maximum(np.arange(size // 2 + 1), 4.0) ** -rng.uniform(0, 1.2)
    spectrum = shape * np.exp(2j * np.pi * rng.random(len(shape)))
    return np.asarray(irfft(spectrum, size)[:length], np.float32)


def mixed(speech: Samples, background: Samples, snr_db: float) -> Samples:
    """Mix speech with a background at a signal-to-noise ratio, measured in the louder half of each."""
    gain = _loudness(speech) / (_loudness(background) + 1e-12) * 10 ** (-snr_db / 20)
    return np.asarray(speech + np.float32(gain) * background, np.float32)


def at_level(samples: Samples, dbfs: float) -> Samples:
    """Scale to a peak of `dbfs`, and round as 16-bit samples do."""
    scaled = samples * np.float32(10 ** (dbfs / 20) / (np.abs(samples).max() + 1e-9))
    return np.asarray(np.round(scaled * 32_768) / 32_768, np.float32)


def overdriven(samples: Samples, rng: np.random.Generator) -> Samples:
    """Overdrive the microphone: the peaks are flattened."""
    drive = float(np.exp(rng.uniform(0, 2.0))) / (np.abs(samples).max() + 1e-9)
    return np.asarray(np.tanh(samples * drive), np.float32)


def telephone(samples: Samples) -> Samples:
    """As a telephone line passes it on: 300 to 3 400 Hz, in the 8 bits of G.711's mu-law."""
    size = spectrum_size(len(samples))
    hertz = np.arange(size // 2 + 1) * RATE / size
    heard = filtered(samples, ((hertz > 300) & (hertz < 3_400)).astype(np.complex64), None)
    peak = np.abs(heard).max() + 1e-9
    coded = np.round(127 * np.log1p(_MU * np.abs(heard) / peak) / np.log1p(_MU)) / 127
    return np.asarray(np.sign(heard) * peak * np.expm1(coded * np.log1p(_MU)) / _MU, np.float32)


def _loudness(samples: Samples) -> float:
    """Root mean square of the louder half of 100 ms frames, so that pauses do not count."""
    frames = samples[: len(samples) // 1_600 * 1_600].reshape(-1, 1_600)
    powers = np.sort((frames.astype(np.float64) ** 2).mean(axis=1)) if len(frames) else np.zeros(1)
    return float(np.sqrt(powers[len(powers) // 2 :].mean()))
