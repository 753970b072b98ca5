"""Recordings as phones and browsers make them, by FFmpeg's encoders."""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from numpy.typing import NDArray


def encoded(samples: NDArray[np.float32], rate: int, container: str, codec: str, **options: str) -> bytes:
    """A file of a recording ``(n, channels)`` of 1, 2, 6 or 8 channels; ``options`` are the container's."""
    buffer, layout = BytesIO(), {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    with av.open(buffer, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 12_200 if "amr" in codec else 32_000 if codec == "g726" else 64_000
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or None)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(piece):
                output.mux(packet)
    return buffer.getvalue()


def without_end_flag(ogg: bytes) -> bytes:
    """An Ogg file whose last page does not say that it is the last."""
    start = ogg.rfind(b"OggS")
    return ogg[:start] + _flagged(ogg[start:], last=False)


def with_early_end_flag(ogg: bytes) -> bytes:
    """An Ogg file whose last page but one says that it is the last."""
    end = ogg.rfind(b"OggS")
    start = ogg.rfind(b"OggS", 0, end)
    return ogg[:start] + _flagged(ogg[start:end], last=True) + ogg[end:]


def _flagged(page: bytes, *, last: bool) -> bytes:
    """A page that says whether it is the last."""
    changed = bytearray(page)
    changed[5] = changed[5] & ~0x04 | 0x04 * last
    changed[22:26] = bytes(4)
    changed[22:26] = struct.pack("<I", _ogg_checksum(changed))
    return bytes(changed)


def _ogg_checksum(page: bytes | bytearray) -> int:
    """CRC-32 of polynomial 0x04c11db7, most significant bit first."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        value &= 0xFFFFFFFF
    return value
