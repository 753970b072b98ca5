"""Recordings that libsndfile does not read, by FFmpeg (PyAV): what phones, browsers and recorders make.

Only the containers and codings named here are ever opened, from memory or as they arrive; no protocol and no other file
is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO, Final, NoReturn, Protocol

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from numpy.typing import NDArray

from trigger_api.errors import TooLarge, UnreadableMedia, UnsupportedMedia
from trigger_api.media.untagged import Untagged

_CONTAINERS: Final = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,amr,aac,aiff,asf,au,avi,caf,flac,loas,mp3,mpegts,ogg,w64,wav,wv,xwma"
)
_CODECS: Final = {
    *("aac", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "g722", "g726", "g726le", "gsm", "gsm_ms"),
    *("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "libopus", "vorbis", "libvorbis", "wavpack"),
    *("wmalossless", "wmapro", "wmav1", "wmav2"),
}
# Sample frames that encoder and decoder put before the sound, where the container does not say how many.
_LEAD_IN: Final = {
    "aac": 1_024,
    "amrnb": 80,
    "aac_latm": 1_024,
    "mp3": 1_105,
    "mp3float": 1_105,
    "mp2": 481,
    "mp2float": 481,
}
_FIRST_LOST: Final = {"wmav1", "wmav2"}  # their decoders keep the first frame to themselves
_FAMILIES: Final = ("pcm_", "adpcm_")
_TIMED = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "asf"})  # containers that say how long they last
_SLACK_S = 0.25  # that a container's length may be off: whole frames, and what an encoder leads in with
_SECONDS = 20.0  # that decoding may take
_NONE: Mapping[str, str] = {}
# Tags in another encoding than UTF-8: PyAV reads them anyway since version 19, and no longer takes the argument.
_ANY_TAGS: Final[dict[str, Any]] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}
_LIVE = {"probesize": "32", "analyzeduration": "0"}  # begin with the first packet, without a look at those that follow

_RESEMBLANCES: Final = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
)


class Readable(Protocol):
    """Bytes as they arrive: ``read`` waits for some, and returns none once there will be no more."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes."""
        ...


class Recording:
    """One recording. Use it in a ``with`` block.

    Args:
        file: the recording.
        seconds: that decoding may take.

    Attributes:
        damaged: whether a part of what was read so far could not be decoded.
        rate: sample rate, Hz.
        channels: how many there are.

    Raises:
        UnreadableMedia: it was cut off before its index, or nothing of it can be decoded.
        UnsupportedMedia: it is no recording, holds no sound, or sound in a coding that is not read.
    """

    def __init__(self, file: BinaryIO, seconds: float = _SECONDS) -> None:
        self._begin(_open(file), seconds)

    def _begin(self, container: InputContainer, seconds: float) -> None:
        self._container = container
        self._limit_s = seconds
        self._stream = _audio_stream(self._container)
        self._seconds = 0.0
        self._lead_in = _LEAD_IN.get(self._stream.codec_context.name, 0)
        self.damaged = False
        self._decoded = self._frames()
        first = next(self._decoded, None)
        if first is None:
            raise UnreadableMedia("the recording is empty or damaged: nothing of it can be decoded")
        self._first = first
        self.rate = first.sample_rate
        self.channels = first.layout.nb_channels

    @property
    def truncated(self) -> bool:
        """Once it was read: whether a part is damaged, or missing at the end."""
        timed = self._container.format.name in _TIMED or self._is_tagged_mp3
        promised = (self._container.duration or 0) / av.time_base if timed else 0.0
        return self.damaged or self._seconds < promised - _SLACK_S

    @property
    def _is_tagged_mp3(self) -> bool:
        """Whether an MP3 says how long it is, and where it begins; any other's length is guessed from its bit rate."""
        return self._container.format.name == "mp3" and bool(self._stream.start_time)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples ``(n, channels)``; a packet that cannot be decoded is left out.

        Raises:
            TooLarge: decoding takes too long.
        """
        # All channels in one plane: of frames with eight planes, PyAV reads a ninth.
        resampler = av.AudioResampler(format="flt", layout=self._first.layout, rate=self.rate)
        late = time.monotonic() + self._limit_s
        for frame in chain([self._first], self._decoded):
            if not self._is_alike(frame):
                self.damaged = True
                continue
            if time.monotonic() > late:
                raise TooLarge(f"the recording takes longer than {self._limit_s:g} s to decode")
            if not self._seconds and self._stream.codec_context.name in _FIRST_LOST:
                yield np.zeros((frame.samples, self.channels), np.float32)
            for each in resampler.resample(frame):
                self._seconds += each.samples / self.rate
                dropped = min(self._lead_in, each.samples)
                self._lead_in -= dropped
                yield np.asarray(each.to_ndarray().reshape(-1, self.channels)[dropped:], np.float32)

    def _is_alike(self, frame: av.AudioFrame) -> bool:
        """Whether a frame is of the kind that the first one was, and the resampler was made for."""
        kind, expected = ((each.format.name, each.layout.name, each.sample_rate) for each in (frame, self._first))
        return kind == expected

    def _frames(self) -> Iterator[av.AudioFrame]:
        for packet in self._packets():
            try:
                yield from self._stream.decode(packet)
            except av.FFmpegError:
                self.damaged = True

    def _packets(self) -> Iterator[av.Packet[AudioStream]]:
        try:
            for packet in self._container.demux(self._stream):
                self._lead_in = max(self._lead_in - self._dropped_by_decoder(packet), 0)
                yield packet
        except (av.FFmpegError, IndexError):  # the latter where a damaged file claims to have streams that it has not
            self.damaged = True

    def _dropped_by_decoder(self, packet: av.Packet[AudioStream]) -> int:
        """Sample frames of the lead-in that the container knows of, and has the decoder drop."""
        if self._is_tagged_mp3:
            return self._lead_in
        before = min(packet.pts or 0, 0) * (packet.time_base or 0)
        return round(-before * self._stream.codec_context.sample_rate)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()


class LiveRecording(Recording):
    """One recording that arrives while it is decoded, so that its end is not known.

    Args:
        source: where it comes from.
        container: its format, a short name of FFmpeg's.
    """

    def __init__(self, source: Readable, container: str) -> None:
        try:
            self._begin(_container(source, container, _LIVE), math.inf)
        except av.FFmpegError:
            raise UnreadableMedia(f"the audio is no {container} that can be decoded while it arrives") from None


def _container(source: Readable, name: str | None = None, options: Mapping[str, str] = _NONE) -> InputContainer:
    allowed = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "", **options}
    opened: InputContainer = av.open(source, "r", name, io_open=_refuse, container_options=allowed, **_ANY_TAGS)
    return opened


def _open(file: BinaryIO) -> InputContainer:
    try:
        return _container(Untagged(file))
    except (av.FFmpegError, PermissionError):
        file.seek(0)
        data = file.read(64)
        if data[4:8] == b"ftyp":
            raise UnreadableMedia(
                "the recording was cut off: the index at the end of the MP4 file is missing"
            ) from None
        raise UnsupportedMedia(f"this is not a recording that can be read{_resemblance(data)}") from None


def _refuse(*args: object) -> NoReturn:
    """What asks for another file, or an address: a playlist, an image sequence."""
    raise PermissionError


def _audio_stream(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        kinds = " and ".join(sorted({_codec(stream) for stream in container.streams})) or "nothing"
        raise UnsupportedMedia(f"this is {container.format.long_name} with {kinds} and no sound")
    stream = container.streams.audio[0]
    name = stream.codec_context.name if stream.codec_context else "an unknown coding"
    if name not in _CODECS and not name.startswith(_FAMILIES):
        raise UnsupportedMedia(f"this is {container.format.long_name} with sound in {name}, which is not read")
    stream.codec_context.thread_count = 1  # as many recordings are decoded at once as there are threads
    return stream


def _codec(stream: Stream) -> str:
    name = stream.codec_context.codec.long_name if stream.codec_context else "data"
    return f"{stream.type} ({name})"


def _resemblance(data: bytes) -> str:
    start = data.lstrip()
    return next((f": it looks like {name}" for magic, name in _RESEMBLANCES if start.startswith(magic)), "")
