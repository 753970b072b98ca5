"""The spectrogram of the "Trigger Word Detection" exercise.

It equals ``matplotlib.pyplot.specgram(x, NFFT=200, Fs=8000, noverlap=120)``: Hann windows, no detrending, one-sided
power density, of 16-bit sample values. Here it is computed in single precision, about five times faster.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import rfft

from trigger_api.model_card import SpectrogramFrontEnd

_FULL_SCALE = 32_768  # the exercise reads 16-bit wav files as integers
_MAX_SCALED = 1e6  # near-silence is not amplified to the level of speech: that would only amplify rounding errors


class Spectrogram:
    """The front end that a card describes."""

    def __init__(self, front_end: SpectrogramFrontEnd) -> None:
        self.front_end = front_end
        self._window = np.hanning(front_end.window).astype(np.float32)
        density = np.full(front_end.window // 2 + 1, 2.0, np.float32)
        density[[0, -1]] = 1  # the bins without a mirror image
        self._density = density / np.float32(front_end.nominal_rate * np.square(self._window).sum())

    def features(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Power density ``float32[T, 101]`` of mono samples in -1..1 at the front end's rate."""
        window, hop = self.front_end.window, self.front_end.hop
        if len(samples) < window:
            return np.empty((0, window // 2 + 1), np.float32)
        scaled = samples * np.float32(_FULL_SCALE * self._gain(samples))
        frames = sliding_window_view(scaled, window)[::hop]
        spectrum = rfft(frames * self._window)
        return np.asarray((spectrum.real**2 + spectrum.imag**2) * self._density, np.float32)

    def _gain(self, samples: NDArray[np.float32]) -> float:
        """The factor that brings the clip to the loudness of the training data."""
        if self.front_end.level_dbfs is None:
            return 1.0
        rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        target = float(10 ** (self.front_end.level_dbfs / 20))
        return target / rms if rms * _MAX_SCALED > target else 1.0
