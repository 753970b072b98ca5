"""The mel spectrogram that the speech embedding was trained on: 32 bands every 10 ms, for clips and for streams.

It equals Google's ``melspectrogram`` model, divided by 10 and plus 2, as the package openwakeword streams it: audio as
16-bit integers, Hann windows of 400 samples in the middle of 512, bands from 60 to 3 800 Hz on Slaney's scale,
decibels, and nothing more than 80 dB below the loudest value of the 80 ms that are computed at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.sparse import csr_array

from trigger_api.model_card import MelFrontEnd

Samples = NDArray[np.float32]
Features = NDArray[np.float32]

FRAMES = 8
"""Frames that are computed at once: 80 ms, one step of the embedding."""
_FULL_SCALE = np.float32(32_768)
_MIN_POWER = 1e-10
_RANGE = 8.0  # 80 dB, in the units of the features
_BLOCK = 256  # frames at a time: intermediate arrays then stay in a core's own cache
_LINEAR_HZ, _LINEAR_MEL, _LOG_STEP = 1_000.0, 15.0, np.log(6.4) / 27.0


class Mel:
    """The front end that a card describes. It holds only constants: one instance serves every stream and thread."""

    def __init__(self, front_end: MelFrontEnd) -> None:
        self.front_end = front_end
        self._window = np.hanning(front_end.window + 1)[:-1].astype(np.float32) * _FULL_SCALE
        # Almost all weights are zero; and small dense products wake BLAS threads, which fight over busy cores.
        self._mel = csr_array(mel_weights(front_end).T)

    @property
    def overlap(self) -> int:
        """Samples before a step that its first frame covers."""
        return self.front_end.lookback

    @property
    def step(self) -> int:
        """Samples in a step of 8 frames."""
        return FRAMES * self.front_end.hop

    def features(self, samples: Samples) -> Features:
        """Features ``float32[n * 8, 32]`` of a whole clip of mono samples in -1..1; silence fills the last step."""
        steps = -(-len(samples) // self.step)
        padded = np.zeros(self.overlap + steps * self.step, np.float32)
        padded[self.overlap : self.overlap + len(samples)] = samples
        return self._apply_floor(self._decibels(self._frames(padded, steps * FRAMES)))

    def steps(self, samples: Samples) -> Features:
        """One step of many streams: samples ``[streams, overlap + step]`` to features ``[streams, 8, 32]``."""
        frames = self._frames(samples, FRAMES).reshape(-1, self.front_end.window)
        return self._apply_floor(self._decibels(frames)).reshape(len(samples), FRAMES, -1)

    def _frames(self, samples: Samples, count: int) -> Samples:
        """Windows ``[..., count, window]``, each in the middle of a frame of the transform's size."""
        first = (self.front_end.transform - self.front_end.window) // 2
        return sliding_window_view(samples, self.front_end.window, axis=-1)[..., first :: self.front_end.hop, :][
            ..., :count, :
        ]

    def _decibels(self, frames: Samples) -> Features:
        powers = np.empty((len(frames), self.front_end.bands), np.float32)
        for start in range(0, len(frames), _BLOCK):
            spectrum = rfft(frames[start : start + _BLOCK] * self._window, self.front_end.transform)
            powers[start : start + _BLOCK] = (self._mel @ (spectrum.real**2 + spectrum.imag**2).T).T
        return np.asarray(np.log10(np.maximum(powers, _MIN_POWER)) + 2, np.float32)

    @staticmethod
    def _apply_floor(features: Features) -> Features:
        steps = features.reshape(-1, FRAMES, features.shape[-1])
        loudest = steps.max(axis=(1, 2), keepdims=True)
        floored: Features = np.maximum(steps, loudest - _RANGE)
        return floored.reshape(features.shape)


@lru_cache(maxsize=4)
def mel_weights(front_end: MelFrontEnd) -> NDArray[np.float32]:
    """Triangular filters ``[transform / 2 + 1, bands]`` of equal area, evenly spaced on Slaney's mel scale."""
    mels = np.linspace(_mel(front_end.low_hz), _mel(front_end.high_hz), front_end.bands + 2)
    above = 1000 * np.exp(_LOG_STEP * (mels - _LINEAR_MEL))
    edges = np.where(mels < _LINEAR_MEL, mels * _LINEAR_HZ / _LINEAR_MEL, above)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.arange(front_end.transform // 2 + 1)[:, None] * front_end.sample_rate / front_end.transform
    rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low), np.float32)


def _mel(hertz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, logarithmic above."""
    if hertz < _LINEAR_HZ:
        return hertz * _LINEAR_MEL / _LINEAR_HZ
    return float(_LINEAR_MEL + np.log(hertz / _LINEAR_HZ) / _LOG_STEP)
