from __future__ import annotations

import struct

import numpy as np
import pytest

from helpers.beep import encode
from trigger_api.media.audio import AudioLimits, decode
from trigger_api.media.riff import mend

LIMITS = AudioLimits(seconds=10, samples=1_000_000)


def wav() -> bytes:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 16_000)
    return encode(np.asarray(wave, np.float32))


def with_sizes(data: bytes, whole: int, samples: int) -> bytes:
    return data[:4] + struct.pack("<I", whole) + data[8:40] + struct.pack("<I", samples) + data[44:]


def with_chunk(data: bytes, chunk: bytes) -> bytes:
    """A chunk of its own between the format and the samples."""
    return data[:36] + chunk + data[36:]


def test_what_says_how_long_it_is_stays_as_it_is() -> None:
    for data in (wav(), wav() + b"LIST" + struct.pack("<I", 4) + b"INFO", wav() + bytes(512), b"OggS" + bytes(99)):
        assert mend(data).data is data
        assert not mend(data).truncated


@pytest.mark.parametrize("unknown", [2**32 - 1, 2**31 - 1, 0x7FFFF048])
def test_a_file_from_a_pipe_lasts_as_long_as_it_does(unknown: int) -> None:
    data = with_sizes(wav(), unknown, unknown - 36)
    assert decode(data, LIMITS).seconds == 0.5
    cut = decode(data[:-8_001], LIMITS)
    assert cut.seconds == pytest.approx(0.25, abs=1e-4)
    assert not cut.truncated  # nobody said how long it would be


@pytest.mark.parametrize(
    ("whole", "samples"),
    [
        *((2**32 - 1, 0), (2**32 - 1, 16_000), (0, 2**32 - 1), (36, 0x7FFF0000), (2**31 - 1, 2**31 - 1)),
        *((0, 0), (16_036, 0), (36, 0), (16_036, 2_000)),  # written before, or while, the samples were
    ],
)
def test_a_writer_that_was_stopped_leaves_sizes_behind(whole: int, samples: int) -> None:
    audio = decode(with_sizes(wav(), whole, samples), LIMITS)
    np.testing.assert_array_equal(audio.samples, decode(wav(), LIMITS).samples)
    assert not audio.truncated


@pytest.mark.parametrize("more", [44, 200, 2**20])
def test_a_header_that_promises_more_is_told(more: int) -> None:
    audio = decode(with_sizes(wav(), 16_036 + more, 16_000 + more), LIMITS)
    assert audio.seconds == 0.5
    assert audio.truncated


@pytest.mark.parametrize("pad", [b"", b"\0"])
def test_a_chunk_of_odd_length_with_or_without_its_pad_byte(pad: bytes) -> None:
    data = with_chunk(wav(), b"LIST" + struct.pack("<I", 9) + b"INFOthree" + pad)
    np.testing.assert_array_equal(decode(data, LIMITS).samples, decode(wav(), LIMITS).samples)
