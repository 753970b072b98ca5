"""Decodes recordings of unknown origin to mono samples; every limit is checked before memory is spent."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from trigger_api.errors import TooLarge, UnreadableMedia, UnsupportedMedia

Samples = NDArray[np.float32]

MAX_CHANNELS: Final = 8
MIN_RATE, MAX_RATE = 4_000, 192_000
_FORMATS = {"WAV", "WAVEX", "FLAC", "OGG", "MP3", "MPEG"}
_BLOCK = 262_144  # sample frames decoded at a time
_MAX_CHUNKS = 1_000
_PIPED = 0x7FFF_0000  # bytes; a wav header that claims this or more was written to a pipe, without knowing the length
_INT16_SCALE = np.float32(1 / 32_768)
_OPUS_RATE = 48_000
_OGG_SLACK_S = 0.1  # lead-in that is not decoded
_LAST_PAGE = 0x04  # flag of the last page of an Ogg stream


@dataclass(frozen=True)
class AudioLimits:
    """The longest accepted recording: in seconds, and in samples of all channels together."""

    seconds: float = 300.0
    samples: int = 32_000_000


@dataclass(frozen=True)
class Audio:
    """Mono samples in -1..1, shape ``(n,)``, and their rate in Hz."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate

    def resampled(self, rate: int) -> Samples:
        """The samples at another rate, by band-limited interpolation (the SoX resampler)."""
        if rate == self.rate:
            return self.samples
        return np.asarray(soxr.resample(self.samples, self.rate, rate), np.float32)


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is only read from start to end.

    The library would seek after each read, which fails at the end of a FLAC file of unknown length.
    """

    def seekable(self) -> bool:
        return False


def decode(data: bytes, limits: AudioLimits) -> Audio:
    """Decode wav (8 to 32 bit, or float), flac, ogg (Vorbis, Opus) or mp3, and mix it down to mono.

    Raises:
        UnsupportedMedia: it is not a recording in these formats, or has too many channels or an unusual sample rate.
        UnreadableMedia: it is empty or truncated, or its header does not match its content.
        TooLarge: it exceeds a limit.
    """
    if not data:
        raise UnreadableMedia("the recording is empty: 0 bytes")
    data = _complete_riff(data)
    _check_ogg(data)
    try:
        with _Stream(BytesIO(data)) as file:
            _check_header(file, limits)
            samples = _read(file, limits)
            declared, rate = file.frames, file.samplerate
    except soundfile.LibsndfileError:
        raise _undecodable(data) from None
    _check_samples(samples, declared)
    if len(samples) / rate < _ogg_seconds(data, rate) - _OGG_SLACK_S:
        raise UnreadableMedia("the recording is damaged: part of it cannot be decoded")
    return Audio(_limit_peak(samples), rate)


def _check_header(file: _Stream, limits: AudioLimits) -> None:
    if file.format not in _FORMATS:
        raise UnsupportedMedia(f"{file.format} is not supported: send wav, flac, ogg or mp3")
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise UnsupportedMedia(f"{file.channels} channels are not supported: send 1 to {MAX_CHANNELS}")
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise UnsupportedMedia(f"{file.samplerate} Hz is not supported: send {MIN_RATE} to {MAX_RATE} Hz")
    # A FLAC file of unknown length claims the largest number possible: its samples are counted while decoding.
    if file.frames < 2**62:
        _check_length(file.frames, file, limits)


def _check_length(frames: int, file: _Stream, limits: AudioLimits) -> None:
    if frames > limits.seconds * file.samplerate:
        raise TooLarge(f"the recording is longer than {limits.seconds:g} s")
    if frames * file.channels > limits.samples:
        raise TooLarge(f"the recording has more than {limits.samples} samples")


def _read(file: _Stream, limits: AudioLimits) -> Samples:
    # 16-bit samples are converted here: the library would do it in small steps, each a callback to Python.
    dtype, scale = ("int16", _INT16_SCALE) if file.subtype == "PCM_16" else ("float32", np.float32(1))
    blocks: list[Samples] = []
    frames = 0
    while len(block := file.read(_BLOCK, dtype=dtype, always_2d=True)):
        frames += len(block)
        _check_length(frames, file, limits)
        blocks.append(_mono(block, scale))
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def _mono(block: NDArray[np.int16] | Samples, scale: np.float32) -> Samples:
    with np.errstate(invalid="ignore", over="ignore"):  # NaN is rejected below
        mixed = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        return np.multiply(mixed, scale, dtype=np.float32)


def _check_samples(samples: Samples, declared: int) -> None:
    if not len(samples):
        raise UnreadableMedia("the recording is empty: it has no samples")
    if len(samples) < declared < 2**62:
        raise UnreadableMedia(f"the recording is truncated: it has {len(samples)} of {declared} samples")


def _limit_peak(samples: Samples) -> Samples:
    """Samples within full scale: those of float files may exceed it by any factor."""
    peak = max(float(samples.max()), -float(samples.min()))
    if not math.isfinite(peak):  # NaN, too, makes the peak NaN
        raise UnreadableMedia("the recording contains samples that are not finite numbers")
    return samples if peak <= 1 else np.asarray(samples / peak, np.float32)


def _complete_riff(data: bytes) -> bytes:
    """A wav file whose header states its length.

    The library would silently repair a header that does not match the file; here that is an error. The exception is a
    file written to a pipe, whose writer could not know the length: its samples last to the end of the file.
    """
    for kind, start, size in _chunks(data):
        available = len(data) - start
        if kind != b"data" or 0 < size <= available:
            continue
        if _is_piped(data, size):
            return data[: start - 4] + struct.pack("<I", available) + data[start:]
        if size:
            raise UnreadableMedia(f"the recording is truncated: it has {available} of the {size} bytes in its header")
    return data


def _is_piped(data: bytes, size: int) -> bool:
    (total,) = struct.unpack_from("<I", data, 4)
    return total >= _PIPED or (size >= _PIPED and total + 8 < len(data))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of every chunk of a wav."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return
    offset = 12
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > len(data):
            return
        kind, size = struct.unpack_from("<4sI", data, offset)
        if not all(0x20 <= byte < 0x7F for byte in kind):
            raise UnreadableMedia("the recording contains more than its header states")
        yield kind, offset + 8, size
        offset += 8 + size + size % 2
    raise UnreadableMedia(f"the recording has more than {_MAX_CHUNKS} chunks")


def _check_ogg(data: bytes) -> None:
    """A truncated Ogg stream lacks the page that is marked as the last."""
    if data[:4] != b"OggS":
        return
    page = data[data.rfind(b"OggS") :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    complete = len(page) >= 27 + len(segments) + sum(segments) and page[5:6] and page[5] & _LAST_PAGE
    if not complete:
        raise UnreadableMedia("the recording is truncated: its last page is missing")


def _ogg_seconds(data: bytes, rate: int) -> float:
    """The duration of an Ogg stream by the sample number on its last page; 0 for other files."""
    if data[:4] != b"OggS":
        return 0.0
    (position,) = struct.unpack_from("<q", data, data.rfind(b"OggS") + 6)
    opus = data[28:36] == b"OpusHead"  # Opus always counts at 48 kHz
    return float(position) / (_OPUS_RATE if opus else rate)


def _undecodable(data: bytes) -> UnsupportedMedia | UnreadableMedia:
    known = data[:4] in (b"RIFF", b"fLaC", b"OggS") or data[:3] == b"ID3" or data[:2] in (b"\xff\xfb", b"\xff\xf3")
    if known:
        return UnreadableMedia("the recording cannot be decoded: it is damaged or truncated")
    return UnsupportedMedia("this is not a recording: send wav, flac, ogg or mp3")
