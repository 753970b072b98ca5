"""What happens to a voice between a mouth and a file: another throat, a hurry, a room, a microphone, noise, a codec.

Every function takes 16 kHz samples and a generator, returns new samples, and keeps the moment at which a word ends
where it was, unless it says how it moved.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from trigger_api.datasets.speech import RATE, Samples

Spectrum = NDArray[np.complex64]

_WSOLA = 480  # samples in one segment: 30 ms, two periods of a low voice
_SEARCH = 120


def change_tempo(samples: Samples, factor: float) -> Samples:
    """Faster (above 1) or slower at the same pitch: overlapping pieces, each moved to where it fits best (WSOLA)."""
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
    """Near `wanted`, the place whose segment looks most like what would naturally follow."""
    target = padded[natural : natural + _WSOLA]
    if len(target) < _WSOLA:
        return wanted
    scores = np.correlate(padded[wanted - _SEARCH : wanted + _SEARCH + _WSOLA], target, "valid")
    return wanted - _SEARCH + int(scores.argmax())


def change_speed(samples: Samples, factor: float) -> Samples:
    """Faster (above 1) with pitch and throat: what a tape does."""
    return np.asarray(soxr.resample(samples, RATE * factor, RATE, quality="MQ"), np.float32)


def another_voice(samples: Samples, rng: np.random.Generator, *, strength: float = 1.0) -> Samples:
    """Throat and pitch by up to 18 %, and independently the tempo by up to 25 %."""
    throat = float(np.exp(rng.uniform(-0.17, 0.17) * strength))
    tempo = float(np.exp(rng.uniform(-0.25, 0.25) * strength))
    return change_tempo(change_speed(samples, throat), tempo / throat)


def microphone(size: int, rng: np.random.Generator) -> Spectrum:
    """A frequency response for ``rfft`` of `size` samples: tilt, a few resonances, sometimes a narrow band."""
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
    """An impulse response: the direct sound at 0, a few early echoes, and a tail that falls 60 dB in 0.1 to 0.8 s."""
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
    """Through a room and a microphone, cut to the same length. `response` is for ``spectrum_size(len(samples))``."""
    size = spectrum_size(len(samples))
    spectrum = rfft(samples, size)
    if impulse is not None:
        spectrum = spectrum * rfft(impulse, size)
    if response is not None:
        spectrum = spectrum * response
    return np.asarray(irfft(spectrum, size)[: len(samples)], np.float32)


def spectrum_size(samples: int) -> int:
    """The transform length that filters so many samples without wrapping a room's tail round."""
    return int(next_fast_len(samples + RATE // 2, real=True))


def noise(length: int, rng: np.random.Generator, clips: Sequence[Samples]) -> Samples:
    """`length` samples of a recorded noise, or of coloured noise: white to brown, steady."""
    if clips and rng.random() < 0.6:
        clip = clips[int(rng.integers(len(clips)))]
        return np.resize(np.roll(clip, int(rng.integers(len(clip)))), length)
    size = next_fast_len(length, real=True)
    shape = np.maximum(np.arange(size // 2 + 1), 4.0) ** -rng.uniform(0, 1.2)
    spectrum = shape * np.exp(2j * np.pi * rng.random(len(shape)))
    return np.asarray(irfft(spectrum, size)[:length], np.float32)


def mixed(speech: Samples, background: Samples, snr_db: float) -> Samples:
    """Speech over a background at a ratio of mean powers, the speech's taken where it is loud."""
    gain = _loudness(speech) / (_loudness(background) + 1e-12) * 10 ** (-snr_db / 20)
    return np.asarray(speech + np.float32(gain) * background, np.float32)


def at_level(samples: Samples, dbfs: float) -> Samples:
    """Brought to a peak of `dbfs`, and stored as 16 bits would."""
    scaled = samples * np.float32(10 ** (dbfs / 20) / (np.abs(samples).max() + 1e-9))
    return np.asarray(np.round(scaled * 32_768) / 32_768, np.float32)


def overdriven(samples: Samples, rng: np.random.Generator) -> Samples:
    """Too loud for the microphone: the peaks are flattened."""
    drive = float(np.exp(rng.uniform(0, 2.0))) / (np.abs(samples).max() + 1e-9)
    return np.asarray(np.tanh(samples * drive), np.float32)


def _loudness(samples: Samples) -> float:
    """Root mean square of the louder 100 ms stretches: pauses do not count."""
    frames = samples[: len(samples) // 1_600 * 1_600].reshape(-1, 1_600)
    powers = np.sort((frames.astype(np.float64) ** 2).mean(axis=1)) if len(frames) else np.zeros(1)
    return float(np.sqrt(powers[len(powers) // 2 :].mean()))
