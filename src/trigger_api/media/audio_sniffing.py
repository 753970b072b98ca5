"""What live audio is, by how it begins: raw samples, or what a browser's recorder makes."""

from __future__ import annotations

from typing import Final

import numpy as np

from trigger_api.schemas import AudioFormat

_MAGIC: Final[tuple[tuple[int, bytes, AudioFormat], ...]] = (
    (0, b"\x1aE\xdf\xa3", "webm"),
    (0, b"OggS", "ogg"),
    (4, b"ftyp", "mp4"),
)
_HEADER: Final = 8  # bytes that tell a container
_ENOUGH: Final = 256  # bytes of sound that tell 16-bit from float samples
_AUDIBLE: Final = 1e-9, 1.0  # magnitudes of float samples; two 16-bit ones read as one are seldom among them
_SHARE: Final = 0.9  # of the samples


def sniff(begin: bytes) -> AudioFormat | None:
    """The format of a stream that begins like this; None if more is needed to tell.

    Two 16-bit samples read as one float would be tiny, huge or no number. Digital silence is both.
    """
    if len(begin) < _HEADER:
        return None
    for offset, magic, name in _MAGIC:
        if begin.startswith(magic, offset):
            return name
    sound = begin[: len(begin) // 4 * 4].lstrip(b"\0")
    return None if len(sound) < _ENOUGH else "f32" if _is_float(begin) else "s16"


def _is_float(begin: bytes) -> bool:
    magnitudes = np.abs(np.frombuffer(begin, "<f4", len(begin) // 4))
    if not np.isfinite(magnitudes).all():
        return False
    sound = magnitudes[magnitudes > 0]
    return bool(np.mean((sound >= _AUDIBLE[0]) & (sound <= _AUDIBLE[1])) >= _SHARE)
