from __future__ import annotations

import numpy as np
import pytest

from helpers.beep import beeps
from trigger_api.media.audio_sniffing import sniff

LOUD = np.random.default_rng(0).normal(0, 0.2, 400).astype("<f4").clip(-1, 1)


@pytest.mark.parametrize("gain", [1, 0.1, 0.001])
def test_samples(gain: float) -> None:
    for samples in (LOUD * gain, beeps([0.3], seconds=0.4)[2_000:3_000] * gain):
        assert sniff(samples.astype("<f4").tobytes()) == "f32"
        assert sniff((samples * 32_767).astype("<i2").tobytes()) == "s16"


@pytest.mark.parametrize("level", [1, -1, 127, 128, 12_288, 16_383, -16_400, 32_767])
def test_sixteen_bits_of_any_level(level: int) -> None:
    noise = np.random.default_rng(0).integers(-3, 4, 400)
    assert sniff((level + noise).clip(-32_768, 32_767).astype("<i2").tobytes()) == "s16"


def test_leading_silence_is_either() -> None:
    assert sniff(bytes(10_000)) is None
    assert sniff(bytes(10_000) + LOUD.tobytes()) == "f32"
    assert sniff(bytes(10_000) + (LOUD * 32_767).astype("<i2").tobytes()) == "s16"


@pytest.mark.parametrize(
    ("begin", "name"), [(b"\x1aE\xdf\xa3", "webm"), (b"OggS", "ogg"), (b"\0\0\0\x1cftypiso5", "mp4")]
)
def test_containers(begin: bytes, name: str) -> None:
    assert sniff(begin[:3]) is None
    assert sniff(begin + bytes(20)) == name
