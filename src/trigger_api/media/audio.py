"""Recordings: bytes of unknown origin to mono samples, every limit checked before the memory is spent.

libsndfile reads what is common and simple: WAV, FLAC, AIFF, AU, CAF and W64. FFmpeg, which is imported when a recording
first needs it, reads the rest; Ogg, too, for libsndfile loses memory with each damaged file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Final

import numpy as np
import soundfile
import soxr

from trigger_api.errors import TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media import riff
from trigger_api.media.downmix import Block, Downmix, Samples

MAX_CHANNELS: Final = 8
MIN_RATE, MAX_RATE = 4_000, 192_000
_FORMATS = {"WAV", "WAVEX", "FLAC", "AIFF", "AU", "CAF", "W64"}
SIMPLE = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"FORM", b".snd", b"caff", b"riff")  # how those files begin
_FOREIGN = {"GSM610", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"}  # codings that such a container may hold
_BLOCK = 262_144  # sample frames decoded at a time
_INT16_SCALE = 1 / 32_768
_OGG_PAGE = b"OggS"
UNKNOWN = 2**62  # frames that libsndfile reports, or more, where a header leaves their number open


@dataclass(frozen=True)
class AudioLimits:
    """The longest recording taken: in seconds, and in samples of all channels together."""

    seconds: float = 300.0
    samples: int = 32_000_000


@dataclass(frozen=True)
class Audio:
    """Mono samples in -1..1, shape ``(n,)``, and their rate in Hz.

    Attributes:
        truncated: whether the recording was cut off or damaged: the samples are what is left of it.
    """

    samples: Samples
    rate: int
    truncated: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def resampled(self, rate: int) -> Samples:
        """The samples at another rate, by band-limited interpolation (the SoX resampler)."""
        if rate == self.rate:
            return self.samples
        return np.asarray(soxr.resample(self.samples, self.rate, rate), np.float32)


class SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """Read from start to end only.

    The library would seek after each read, and that fails at the end of a FLAC of unknown length.
    """

    def seekable(self) -> bool:
        """Not that anybody may know."""
        return False


class _Buffer(BytesIO):
    """Bytes in memory that take a place before their start, where damaged files point to, for their start."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(max(offset, 0) if whence == 0 else offset, whence)


class NotReadError(Exception):
    """libsndfile does not read this recording, or not to its end."""


def decode(data: bytes, limits: AudioLimits) -> Audio:
    """Decode a recording of any common format, and mix its channels down to one.

    Raises:
        UnsupportedMedia: it is no recording, has no sound, too many channels or an odd rate.
        UnreadableMedia: it is empty, or nothing of it can be decoded.
        TooLarge: it is over a limit.
    """
    if not data:
        raise UnreadableMedia("the recording is empty: 0 bytes")
    mended = riff.mend(data)
    try:
        if not data.startswith(SIMPLE):
            raise NotReadError
        audio = _by_libsndfile(mended.data, limits)
    except (soundfile.LibsndfileError, NotReadError):
        audio = _by_ffmpeg(data, limits)
    if not len(audio.samples):
        raise UnreadableMedia("the recording is empty: it holds no samples")
    return replace(audio, samples=_bounded(audio.samples), truncated=audio.truncated or mended.truncated)


def _by_libsndfile(data: bytes, limits: AudioLimits, channel: int | None = None) -> Audio:
    mix = Downmix(channel)
    with SoundFile(_Buffer(data)) as file:
        if not is_read_well(file):
            raise NotReadError
        check_kind(file.channels, file.samplerate)
        if file.frames < UNKNOWN:
            check_length(file.frames, file.channels, file.samplerate, limits)
        scale = scale_of(file)
        for block in blocks(file):
            mix.add(block, scale)
            check_length(mix.frames, file.channels, file.samplerate, limits)
        if mix.frames < file.frames < UNKNOWN:
            raise NotReadError  # whether it was cut off, the other decoder finds out
        rate = file.samplerate
    return _by_libsndfile(data, limits, mix.loudest) if mix.cancelled else Audio(mix.samples, rate)


def blocks(file: SoundFile) -> Iterator[Block]:
    """The samples of a file, ``(n, channels)``."""
    # 16-bit samples are taken as they are: the library would convert them in small steps, each a call back to Python.
    dtype = "int16" if file.subtype == "PCM_16" else "float32"
    while len(block := file.read(_BLOCK, dtype=dtype, always_2d=True)):
        yield block


def _by_ffmpeg(data: bytes, limits: AudioLimits, channel: int | None = None) -> Audio:
    from trigger_api.media.ffmpeg import Recording  # a tenth of a second, and memory, that few recordings need

    mix = Downmix(channel)
    with Recording(BytesIO(data)) as recording:
        check_kind(recording.channels, recording.rate)
        for block in recording.blocks():
            mix.add(block)
            check_length(mix.frames, recording.channels, recording.rate, limits)
        audio = Audio(mix.samples, recording.rate, recording.truncated or not has_whole_pages(data))
    return _by_ffmpeg(data, limits, mix.loudest) if mix.cancelled else audio


def scale_of(file: SoundFile) -> float:
    """What the samples of ``blocks`` have to be multiplied by."""
    return _INT16_SCALE if file.subtype == "PCM_16" else 1.0


def check_kind(channels: int, rate: int) -> None:
    """Check that a recording has few enough channels, and a common rate.

    Raises:
        UnsupportedMedia: it has not.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnsupportedMedia(f"the recording has {channels} channels: 1 to {MAX_CHANNELS} are supported")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnsupportedMedia(f"the recording has {rate} Hz: {MIN_RATE} to {MAX_RATE} Hz are supported")


def check_length(frames: int, channels: int, rate: int, limits: AudioLimits) -> None:
    """Check how much of a recording there is so far.

    Raises:
        TooLarge: it is over a limit.
    """
    if frames > limits.seconds * rate:
        raise TooLarge(f"the recording is longer than {limits.seconds:g} s")
    if frames * channels > limits.samples:
        raise TooLarge(f"the recording has more than {limits.samples} samples")


def is_read_well(file: SoundFile) -> bool:
    """Whether libsndfile reads such a recording to its end, and no further."""
    return file.format in _FORMATS and file.subtype not in _FOREIGN


def has_whole_pages(data: riff.Bytes) -> bool:
    """Whether an Ogg stream's last page is all there. True of other files."""
    if data[:4] != _OGG_PAGE:
        return True
    page = data[data.rfind(_OGG_PAGE) :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) >= 27 + len(segments) + sum(segments) and len(page) > 26


def _bounded(samples: Samples) -> Samples:
    """Float files may go beyond full scale, without end: bring those back to it."""
    peak = peak_of(samples)
    check_peak(peak)
    return samples if peak <= 1 else np.asarray(samples / peak, np.float32)


def peak_of(samples: Samples) -> float:
    """The largest magnitude; not a number if one of the samples is none."""
    return max(float(samples.max()), -float(samples.min()))


def check_peak(peak: float) -> None:
    """Check that a peak is a number.

    Raises:
        UnreadableMedia: it is not.
    """
    if not math.isfinite(peak):
        raise UnreadableMedia("the recording holds samples that are not numbers")
