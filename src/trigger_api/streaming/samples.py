"""Float samples as the 16-bit ones that a stream takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = 32_768


def pcm16(samples: NDArray[np.float32]) -> bytes:
    """Samples from -1 to 1, clipped, as 16-bit little-endian ones; what is no number becomes silence."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.nan_to_num(samples * np.float32(_FULL_SCALE))
    return bytes(np.clip(np.rint(scaled), -_FULL_SCALE, _FULL_SCALE - 1).astype("<i2"))
