"""Recordings of hours, decoded from a file in parts: no more than a few minutes of them are in memory at once."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
import soundfile

from trigger_api.errors import UnreadableMedia
from trigger_api.media import audio, riff
from trigger_api.media.audio import Audio, AudioLimits, NotReadError
from trigger_api.media.downmix import Downmix, Samples

_DECODING_S = 3_600.0  # that decoding may take


@dataclass(frozen=True)
class Part:
    """A part of a recording, with some audio before and after it that its neighbours have too.

    Attributes:
        audio: all of it.
        lead_s: seconds of audio before the part begins.
        seconds: length of the part; infinite for the last one, whatever comes after its audio.
    """

    audio: Audio
    lead_s: float
    seconds: float


@dataclass(frozen=True)
class _Format:
    rate: int
    channels: int


Blocks = Iterator[Samples]
_Decoder = Callable[[Path, AudioLimits, int | None, "_Facts"], Blocks]


class _Facts:
    """What is known of a recording once it has been read."""

    def __init__(self) -> None:
        self.format = _Format(0, 0)
        self.mix = Downmix()
        self.truncated = False


class LongAudio:
    """A recording in a file. It is read twice: first to learn what has to be known of all of it, then in parts.

    Args:
        path: the file. A WAV file with a wrong header is mended in its place.
        limits: of its length.

    Raises:
        UnsupportedMedia, UnreadableMedia, TooLarge: as ``audio.decode`` does.
    """

    def __init__(self, path: Path, limits: AudioLimits) -> None:
        self._path, self._limits = path, limits
        self._is_mended_short = _mend(path)
        self._decoder: _Decoder = _by_libsndfile
        try:
            facts, peak = self._survey()
        except (soundfile.LibsndfileError, NotReadError):
            self._decoder = _by_ffmpeg
            facts, peak = self._survey()
        if not facts.mix.frames:
            raise UnreadableMedia("the recording is empty: it holds no samples")
        audio.check_peak(peak)
        self._channel = facts.mix.loudest if facts.mix.cancelled else None
        self._scale = np.float32(1 if peak <= 1 else 1 / peak)
        self.rate = facts.format.rate
        self.frames = facts.mix.frames
        self.truncated = facts.truncated or self._is_mended_short

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.rate

    def parts(self, seconds: int, lead_s: int, tail_s: int) -> Iterator[Part]:
        """The recording in parts of some seconds, each with ``lead_s`` before and ``tail_s`` after it."""
        step, lead, tail = (each * self.rate for each in (seconds, lead_s, tail_s))
        waiting, offset = np.empty(0, np.float32), 0  # samples, and where the first of them is
        blocks = self._blocks()
        for start in range(0, self.frames, step):
            first, stop = max(start - lead, 0), min(start + step + tail, self.frames)
            waiting, offset = waiting[first - offset :], first
            waiting = _filled(waiting, stop - first, blocks)
            last = start + step >= self.frames
            part = Audio(waiting[: stop - first], self.rate, self.truncated)
            yield Part(part, (start - first) / self.rate, math.inf if last else seconds)

    def count(self, seconds: int) -> int:
        """The number of parts."""
        return -(-self.frames // (seconds * self.rate))

    def _survey(self) -> tuple[_Facts, float]:
        facts, peak = _Facts(), 0.0
        for block in self._decoder(self._path, self._limits, None, facts):
            if len(block):
                peak = float(np.maximum(peak, audio.peak_of(block)))  # which is not a number if either is none
        return facts, peak

    def _blocks(self) -> Blocks:
        for block in self._decoder(self._path, self._limits, self._channel, _Facts()):
            yield block * self._scale


def _filled(samples: Samples, wanted: int, blocks: Blocks) -> Samples:
    parts, held = [samples], len(samples)
    while held < wanted and (block := next(blocks, None)) is not None:
        parts.append(block)
        held += len(block)
    return np.concatenate(parts)


def _by_libsndfile(path: Path, limits: AudioLimits, channel: int | None, facts: _Facts) -> Blocks:
    with _mapped(path) as data, _File(path) as raw:
        if not any(data[: len(magic)] == magic for magic in audio.SIMPLE):
            raise NotReadError
        with audio.SoundFile(raw) as file:
            if not audio.is_read_well(file):
                raise NotReadError
            mix = _begin(facts, file.samplerate, file.channels, channel)
            for block in audio.blocks(file):
                yield mix.mix(block, audio.scale_of(file))
                audio.check_length(mix.frames, file.channels, file.samplerate, limits)
            if mix.frames < file.frames < audio.UNKNOWN:
                raise NotReadError


def _by_ffmpeg(path: Path, limits: AudioLimits, channel: int | None, facts: _Facts) -> Blocks:
    from trigger_api.media.ffmpeg import Recording  # see audio.py

    with path.open("rb") as file, Recording(file, _DECODING_S) as recording:
        mix = _begin(facts, recording.rate, recording.channels, channel)
        for block in recording.blocks():
            yield mix.mix(block)
            audio.check_length(mix.frames, recording.channels, recording.rate, limits)
        with _mapped(path) as data:
            facts.truncated = recording.truncated or not audio.has_whole_pages(data)


def _begin(facts: _Facts, rate: int, channels: int, channel: int | None) -> Downmix:
    audio.check_kind(channels, rate)
    facts.format, facts.mix = _Format(rate, channels), Downmix(channel)
    return facts.mix


class _File(io.FileIO):
    """A file that takes a place before its start, where damaged recordings point to, for its start."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(max(offset, 0) if whence == 0 else offset, whence)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap]:
    with path.open("rb") as file:
        try:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError:
            raise UnreadableMedia("the recording is empty: 0 bytes") from None
        with data:
            yield data


def _mend(path: Path) -> bool:
    """Mend the header of a WAV file. True if it promised more than there is."""
    with _mapped(path) as data:
        layout = riff.mended_layout(data)
    if layout is None:
        return False
    mended = path.with_name(f"{path.name}.mended")
    with path.open("rb") as source, mended.open("wb") as target:
        source.seek(layout.start)
        target.write(layout.head)
        shutil.copyfileobj(source, target, 1 << 20)
        target.truncate(len(layout.head) + layout.size)
        target.seek(0, io.SEEK_END)
        target.write(b"\0" * (layout.size % 2))
    mended.replace(path)
    return layout.truncated
