"""What a client may send: 16-bit samples, float samples, or what a browser's recorder makes."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from trigger_api.media.audio_sniffing import sniff
from trigger_api.schemas import AudioFormat
from trigger_api.streaming.decoder import DecoderInput
from trigger_api.streaming.samples import pcm16
from trigger_api.streaming.session import SAMPLE_BYTES
from trigger_api.streaming.stream import Stream

_HELD: Final = 65_536  # bytes of digital silence at the start, after which samples are taken for 16-bit ones
_FLOAT_BYTES: Final = 4


class AudioInput(Protocol):
    """Takes frames on the event loop; ``close`` it after ``finish``, or without."""

    def feed(self, frame: bytes, /) -> None:
        """Add bytes; a sample may be split between two frames.

        Raises:
            ServiceError: there is too much, or it cannot be read.
        """

    def finish(self) -> None:
        """The audio has ended: the stream ends once all of it is processed."""

    def close(self) -> None:
        """Nothing is to be processed any more."""


def audio_input(stream: Stream, name: AudioFormat | None, backlog_s: float) -> AudioInput:
    """The input for a format; for None, the one that its first bytes tell."""
    match name:
        case None:
            return _UnknownInput(stream, backlog_s)
        case "s16":
            return _Int16Input(stream)
        case "f32":
            return _FloatInput(stream)
        case _:
            return DecoderInput(stream, name, backlog_s)


class _Int16Input:
    def __init__(self, stream: Stream) -> None:
        self.feed = stream.feed
        self.finish = stream.finish

    def close(self) -> None:
        pass


class _FloatInput:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = b""
        self.finish = stream.finish

    def feed(self, frame: bytes) -> None:
        data = self._rest + frame
        whole = len(data) - len(data) % _FLOAT_BYTES
        self._rest = data[whole:]
        self._stream.feed(pcm16(np.frombuffer(data[:whole], "<f4")))

    def close(self) -> None:
        pass


class _UnknownInput:
    """Holds what comes first, until it can be told what it is."""

    def __init__(self, stream: Stream, backlog_s: float) -> None:
        self._stream = stream
        self._backlog_s = backlog_s
        self._held = bytearray()
        self._silent = 0  # bytes of digital silence that the stream has had already, as float samples
        self._known: AudioInput | None = None

    def feed(self, frame: bytes) -> None:
        if self._known is not None:
            self._known.feed(frame)
            return
        self._held += frame
        if name := sniff(bytes(self._held)):
            self._become(name)
        elif len(self._held) > _HELD:
            self._become("s16")
        else:
            self._feed_silence()

    def finish(self) -> None:
        (self._known or self._become("s16")).finish()

    def close(self) -> None:
        if self._known is not None:
            self._known.close()

    def _feed_silence(self) -> None:
        """Digital silence lasts as long as it would as float samples, if not longer: no need to wait with that."""
        zeros = len(self._held) - len(self._held.lstrip(b"\0"))
        silent = zeros - zeros % _FLOAT_BYTES
        self._stream.feed(bytes((silent - self._silent) * SAMPLE_BYTES // _FLOAT_BYTES))
        self._silent = silent

    def _become(self, name: AudioFormat) -> AudioInput:
        done = self._silent if name == "f32" else self._silent * SAMPLE_BYTES // _FLOAT_BYTES
        self._known = audio_input(self._stream, name, self._backlog_s)
        self._known.feed(bytes(self._held[done:]))
        self._held.clear()
        return self._known
