from __future__ import annotations

import numpy as np

from trigger_api.streaming.samples import pcm16


def test_samples_are_scaled_and_clipped() -> None:
    samples = np.array([0, 0.5, -1, 1, 1e30, -1e30], np.float32)
    assert np.frombuffer(pcm16(samples), "<i2").tolist() == [0, 16_384, -32_768, 32_767, 32_767, -32_768]


def test_what_is_no_number_is_silence() -> None:
    signalling = np.array([0x7FA00000, 0xFFA00000], "<u4").view("<f4")
    assert pcm16(np.append(signalling, np.float32(np.nan))) == bytes(6)
