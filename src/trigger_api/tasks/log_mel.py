"""Log-mel energies that do not depend on how loud a recording is, for whole clips and for live streams.

Band energies are given in decibels below a running level: the highest frame energy so far, forgotten slowly. Gain
adds the same constant to both, so it cancels; nothing looks into the future, so a stream sees what a whole clip sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.sparse import csr_array

from trigger_api.cards import LogMelFrontEnd

Samples = NDArray[np.float32]
Features = NDArray[np.float32]

# The span of the features: decibels relative to the running level, then brought to about -1.75 .. 2.25.
_LOWEST_DB, _HIGHEST_DB = -60.0, 20.0
_CENTRE_DB, _SCALE_DB = -25.0, 20.0
_TINY = 1e-20
_BLOCK = 256  # frames: what is made of so many stays in a core's own cache
_DB_PER_TIME_CONSTANT = 20 * np.log10(np.e)
# Speech falls off towards high frequencies; without this, hum and rumble would set the level.
_PRE_EMPHASIS = 0.97


@dataclass(frozen=True)
class LogMelState:
    """What a stream carries from one chunk to the next: unused samples, and the running level in dB."""

    tail: Samples = field(repr=False)
    level_db: float


class LogMel:
    """The front end that a card describes. Holds only constants: one instance serves every stream and thread."""

    def __init__(self, front_end: LogMelFrontEnd) -> None:
        self.front_end = front_end
        self._window = np.hanning(front_end.window + 1)[:-1].astype(np.float32)
        self._fft = next_fast_len(front_end.window, real=True)
        # Almost all weights are zero; and small dense products wake BLAS threads, which fight over busy cores.
        self._mel = csr_array(mel_weights(front_end, self._fft).T)
        self._decay_db = _DB_PER_TIME_CONSTANT * front_end.hop / front_end.sample_rate / front_end.level_seconds

    def start(self) -> LogMelState:
        """The state of a stream that has heard nothing: silence in front of it."""
        silence = np.zeros(self.front_end.window - self.front_end.hop, np.float32)
        return LogMelState(silence, self.front_end.floor_db)

    def features(self, samples: Samples) -> Features:
        """Features ``float32[len(samples) // hop, bands]`` of a whole clip of mono samples in -1..1.

        Frame t has heard the samples up to ``(t + 1) * hop`` and none later.
        """
        return self.step(samples, self.start())[0]

    def step(self, samples: Samples, state: LogMelState) -> tuple[Features, LogMelState]:
        """Features of the frames that `samples`, any number of them, complete; and the state to go on with."""
        heard = np.concatenate([state.tail, samples.astype(np.float32, copy=False)])
        hop, window = self.front_end.hop, self.front_end.window
        count = max(0, (len(heard) - window) // hop + 1)
        if count == 0:
            return np.empty((0, self.front_end.bands), np.float32), LogMelState(heard, state.level_db)
        energies = self._energies(sliding_window_view(heard, window)[: count * hop : hop])
        levels = self._levels(energies, state.level_db)
        return _relative_db(energies, levels), LogMelState(heard[count * hop :].copy(), float(levels[-1]))

    def step_all(self, heard: Samples, levels_db: NDArray[np.float64]) -> tuple[Features, NDArray[np.float64]]:
        """One step of many streams at once, several times cheaper than one by one.

        Args:
            heard: samples ``[streams, window - hop + n * hop]``; each row begins with what the last step left over.
            levels_db: the running levels ``[streams]`` before.

        Returns:
            Features ``[streams, n, bands]``, and the running levels after.
        """
        hop, window = self.front_end.hop, self.front_end.window
        frames = sliding_window_view(heard, window, axis=1)[:, ::hop]
        energies = self._energies(frames.reshape(-1, window)).reshape(*frames.shape[:2], -1)
        levels = self._levels(energies, levels_db[:, None])
        return _relative_db(energies, levels), levels[:, -1]

    def _energies(self, frames: Samples) -> NDArray[np.float32]:
        """Mel band energies ``[T, bands]`` of framed samples ``[T, window]``."""
        energies = np.empty((len(frames), self.front_end.bands), np.float32)
        for start in range(0, len(frames), _BLOCK):
            spectrum = rfft(frames[start : start + _BLOCK] * self._window, self._fft)
            power = spectrum.real**2 + spectrum.imag**2
            energies[start : start + _BLOCK] = (self._mel @ power.T).T
        return energies

    def _levels(self, energies: NDArray[np.float32], before: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """The running level ``[..., T]`` in dB, without a loop: ``max(frame[t], level[t - 1] - decay, floor)``."""
        frame_db = 10 * np.log10(energies.mean(axis=-1, dtype=np.float64) + _TINY)
        fallen = self._decay_db * np.arange(1, frame_db.shape[-1] + 1)
        highest = np.maximum.accumulate(np.maximum(frame_db, self.front_end.floor_db) + fallen, axis=-1)
        levels: NDArray[np.float64] = np.maximum(highest, before) - fallen
        return levels


def _relative_db(energies: NDArray[np.float32], levels: NDArray[np.float64]) -> Features:
    decibels = 10 * np.log10(energies + np.float32(_TINY)) - levels[..., None].astype(np.float32)
    clipped = np.clip(decibels, _LOWEST_DB, _HIGHEST_DB)
    return np.asarray((clipped - _CENTRE_DB) / _SCALE_DB, np.float32)


def mel_weights(front_end: LogMelFrontEnd, fft: int) -> NDArray[np.float32]:
    """Triangular bands ``[fft // 2 + 1, bands]``, evenly spaced on the mel scale, with pre-emphasis folded in.

    Scaled so that white noise of power P (re full scale 1.0) gives about P in each band.
    """
    hertz = np.arange(fft // 2 + 1) * front_end.sample_rate / fft
    edges = _hertz(np.linspace(_mel(front_end.low_hz), _mel(front_end.high_hz), front_end.bands + 2))
    rising = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    emphasis = np.abs(1 - _PRE_EMPHASIS * np.exp(-2j * np.pi * hertz / front_end.sample_rate)) ** 2
    noise_power = 0.375 * front_end.window  # the sum of a squared Hann window
    return np.asarray(triangles / triangles.sum(axis=0) * emphasis[:, None] / noise_power, np.float32)


def _mel(hertz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
