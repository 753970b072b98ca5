"""Compressed live audio: a thread for each stream decodes it as it arrives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr
import structlog

from trigger_api.errors import ServiceError, UnreadableMedia
from trigger_api.media.audio import check_kind
from trigger_api.media.downmix import Samples
from trigger_api.media.pipe import Pipe
from trigger_api.streaming.samples import pcm16
from trigger_api.streaming.session import SAMPLE_BYTES
from trigger_api.streaming.stream import Stream

if TYPE_CHECKING:
    from trigger_api.media.ffmpeg import Recording

_BYTES_PER_S: Final = 400_000  # float samples, 48 kHz, two channels: the most that a recorder makes
_BLOCK_S: Final = 0.08  # of samples that are handed on at once
_log = structlog.get_logger(__name__)


class DecoderInput:
    """Frames of a container, in pieces of any length. FFmpeg waits for more in a thread of its own.

    Args:
        stream: takes the samples, and learns of errors.
        container: ``webm``, ``ogg`` or ``mp4``.
        backlog_s: seconds of audio that may wait.
    """

    def __init__(self, stream: Stream, container: str, backlog_s: float) -> None:
        self._stream = stream
        self._container = container
        self._samples = bytearray()
        self._block = SAMPLE_BYTES * round(stream.session.rate * _BLOCK_S)
        self._error: ServiceError | None = None
        self._left = False
        self._loop = asyncio.get_running_loop()
        self._pipe = Pipe(round(backlog_s * _BYTES_PER_S), self._hand_on)
        self._thread = threading.Thread(target=self._run, name="live-decoder", daemon=True)
        self._thread.start()

    def feed(self, frame: bytes) -> None:
        """Add bytes.

        Raises:
            Overloaded: the server decodes them too slowly.
        """
        self._pipe.write(frame)

    def finish(self) -> None:
        """The audio has ended: decode what is left, then end the stream."""
        self._pipe.close()

    def close(self) -> None:
        """The client has gone."""
        self._left = True
        self._pipe.close(drop=True)

    def _run(self) -> None:
        try:
            self._decode()
            self._call(self._end)
        except ServiceError as error:
            self._call(self._stream.fail, error)
        except Exception as error:  # the client learns no details
            _log.error("live audio failed", exc_info=error)
            self._call(self._stream.fail, ServiceError("internal error; see the server's log"))

    def _decode(self) -> None:
        from trigger_api.media.ffmpeg import LiveRecording  # memory that few servers need

        with LiveRecording(self._pipe, self._container) as recording:
            check_kind(recording.channels, recording.rate)
            for samples in self._resampled(recording):
                self._samples += pcm16(samples)
                if len(self._samples) >= self._block:
                    self._hand_on()
        self._hand_on()
        if self._error:
            raise self._error
        if not self._pipe.ended:
            raise UnreadableMedia("the audio is damaged: it cannot be decoded any further")

    def _resampled(self, recording: Recording) -> Iterator[Samples]:
        resampler = soxr.ResampleStream(recording.rate, self._stream.session.rate, 1, dtype="float32")
        for block in recording.blocks():
            yield resampler.resample_chunk(block.mean(axis=1))
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

    def _hand_on(self) -> None:
        """Give the samples to the stream, and wait until it has them: so decoding is no faster than it may be."""
        pcm, done = bytes(self._samples), Future[None]()
        self._samples.clear()
        if pcm and not self._left:
            self._call(self._feed, pcm, done)
            done.result()

    def _feed(self, pcm: bytes, done: Future[None]) -> None:
        try:
            if not self._left:
                self._stream.feed(pcm)
        except ServiceError as error:  # not raised on the thread: it may be inside of FFmpeg
            self._error = error
            self.close()
        done.set_result(None)

    def _end(self) -> None:
        if not self._left:
            self._stream.finish()

    def _call(self, function: Callable[..., None], *args: object) -> None:
        self._loop.call_soon_threadsafe(function, *args)
