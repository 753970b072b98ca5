"""The state of one live stream: audio in, scores and detections out. No model runs here.

The backbone is ``f(mel, state) -> (embeddings, state)``, and each head scores the latest embeddings. Everything that
belongs to a single stream is kept in its session, so a new session inherits nothing from an earlier one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soxr
from numpy.typing import NDArray

from trigger_api.errors import Overloaded, TooFast
from trigger_api.model_card import Decision, MelFrontEnd, ModelCard
from trigger_api.registry import Model
from trigger_api.runtimes.speech_embedding import SILENT
from trigger_api.scheduler import BatchQueue
from trigger_api.tasks.trigger.cascade import CANDIDATE_HOPS
from trigger_api.tasks.trigger.detector import Debouncer
from trigger_api.tasks.trigger.mel import FRAMES, Mel
from trigger_api.tasks.trigger.words import gate, keyword

Samples = NDArray[np.float32]
SAMPLE_BYTES = 2
_FULL_SCALE = np.float32(32_768)
_GATE_HOLD_MS = 2_000  # longer than a word with its pauses, and than the receptive field of a head on its backbone
_SETTLING_MS = 200  # more than the delay of the resampler


class StreamModel:
    """The constants that all streams of one version of an embedding model share.

    Args:
        model: computes the embeddings of every hop.
        backbone: if that is a student, the same for the backbone that it was distilled from.
    """

    def __init__(self, model: Model, backbone: StreamModel | None = None) -> None:
        card = model.card
        assert isinstance(card.front_end, MelFrontEnd)
        assert card.frame_ms is not None
        assert card.stream_length is not None
        self.card: ModelCard = card
        self.front_end = card.front_end
        self.hop_ms = card.frame_ms
        self.queue: BatchQueue = model.queues[card.stream_length]
        self.mel, self.state = self.queue.specs
        self.embeddings = card.outputs[0].name
        self.silence = model.silence
        self.backbone = backbone
        self._queues = model.queues

    def catch_up_queue(self, span: int) -> BatchQueue:
        """The queue of the shortest window whose last `span` embeddings depend on nothing before it."""
        least = FRAMES * (span + self.card.context)
        return self._queues[min(length for length in self._queues if length >= least)]

    @cached_property
    def front(self) -> Mel:
        """The front end, which computes mel spectrograms."""
        return Mel(self.front_end)

    @property
    def hop(self) -> int:
        """Samples between two inferences."""
        return self.front.step

    @property
    def overlap(self) -> int:
        """Samples before a hop that belong to its first frame too."""
        return self.front.overlap


@dataclass(frozen=True)
class Keyword:
    """A word that a stream listens for: the head that scores it, and how its scores become detections."""

    model: Model
    decision: Decision

    @property
    def card(self) -> ModelCard:
        """The head's card."""
        return self.model.card

    @cached_property
    def span(self) -> int:
        """Embeddings that one score depends on."""
        return self.card.context + 1

    @cached_property
    def gate(self) -> float:
        """The score on a student's embeddings from which the word may have been said."""
        return gate(self.decision)

    @cached_property
    def word(self) -> str:
        """The word as the card spells it."""
        return keyword(self.card)


@dataclass(frozen=True)
class WordDetection:
    """A word that was detected in a hop."""

    keyword: Keyword
    time_ms: int
    score: float


@dataclass(frozen=True)
class HopResult:
    """The scores and detections of one hop.

    Attributes:
        time_ms: its end, in milliseconds since the stream began.
        level_dbfs: its level, dB relative to full scale.
        scores: one for each keyword, in their order.
        detections: the words that were detected.
    """

    time_ms: int
    level_dbfs: float
    scores: Sequence[float]
    detections: tuple[WordDetection, ...]


class VoiceActivityGate:
    """Closes after a while of silence, which is then neither computed nor scored.

    The backbone keeps the state that it had, which is one of silence too.
    """

    def __init__(self, dbfs: float, hop_ms: float) -> None:
        self._dbfs = dbfs
        self._hops = round(_GATE_HOLD_MS / hop_ms)
        self._left = 0

    def opens(self, level_dbfs: float) -> bool:
        """Whether a hop of this level passes."""
        self._left = self._hops if level_dbfs >= self._dbfs else max(0, self._left - 1)
        return self._left > 0


class BackboneStream:
    """The backbone's side of a stream that a student embeds: idle until a word may have been said.

    Attributes:
        frames: the latest mel features ``[T, 32]``, as many as it takes to catch up.
        pending_hops: hops not embedded yet; if there are several, all frames are embedded anew, after silence.
        state: the backbone's, after the last hop that it embedded.
        recent: the latest embeddings ``[span, numbers]``.
        earlier: the same without the last hop; the first of them may lean on silence instead of what was there.
    """

    def __init__(self, model: StreamModel, span: int) -> None:
        self.catch_up_queue = model.catch_up_queue(span)
        self.frames = np.full(self.catch_up_queue.specs[0].shape, SILENT, np.float32)
        self.pending_hops = 0
        self.state = np.zeros(model.state.shape, model.state.dtype)
        self.recent = self.earlier = np.tile(model.silence, (span, 1))
        self._active_hops = 0

    def add_hop(self, mel: NDArray[np.float32]) -> None:
        """Keep the features ``[8, 32]`` of the next hop."""
        self.frames[:-FRAMES] = self.frames[FRAMES:]
        self.frames[-FRAMES:] = mel
        self.pending_hops += 1

    def is_active(self, candidate: bool) -> bool:
        """Whether to embed the hop: a word may have been said in it, or in one of the last few."""
        self._active_hops = CANDIDATE_HOPS if candidate else max(0, self._active_hops - 1)
        return self._active_hops > 0

    def update_state(self, state: NDArray[np.float32], embeddings: NDArray[np.float32]) -> None:
        """Keep the backbone's outputs for the pending hops."""
        self.state[...] = state
        span, known = len(self.recent), np.concatenate([self.recent, embeddings])
        self.recent, self.earlier = known[-span:], known[-span - 1 : -1]
        self.pending_hops = 0


class Session:
    """The state of one stream.

    ``feed``, ``take`` and ``decide`` are called on the event loop, ``process`` and ``update_state`` on the thread of
    the front end; never two of them at once.

    Args:
        model: the constants that it shares with other streams.
        rate: sample rate of the incoming audio, Hz.
        keywords: the words to listen for.
        backlog_s: seconds of audio that may wait here.
        real_time: whether audio that arrives faster than real time is an error.
        gate_dbfs: level of the voice activity gate, dB relative to full scale; None for no gate.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        model: StreamModel,
        rate: int,
        keywords: Sequence[Keyword],
        *,
        backlog_s: float = 5.0,
        real_time: bool = True,
        gate_dbfs: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.rate = rate
        self.keywords = tuple(keywords)
        self.finishing = False
        self.state = np.zeros(model.state.shape, model.state.dtype)
        self.recent = np.tile(model.silence, (max(keyword.span for keyword in keywords), 1))
        self.backbone = BackboneStream(model.backbone, len(self.recent)) if model.backbone else None
        self.gate = None if gate_dbfs is None else VoiceActivityGate(gate_dbfs, model.hop_ms)
        self._debouncers = [Debouncer(keyword.decision, model.hop_ms) for keyword in keywords]
        self._resampler = _resampler(rate, model.front_end.sample_rate)
        self._unread = bytearray()
        self._sent = 0
        self._samples: Samples = np.zeros(model.overlap, np.float32)
        self._hops = 0
        self._backlog_s = backlog_s
        self._real_time_limit = _RealTimeLimit(backlog_s, clock) if real_time else None

    @property
    def sent_ms(self) -> int:
        """Milliseconds of audio that were received, rounded down."""
        return 1000 * self._sent // (SAMPLE_BYTES * self.rate)

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that were received and not processed yet."""
        unread = len(self._unread) / (SAMPLE_BYTES * self.rate)
        return unread + (len(self._samples) - self.model.overlap) / self.model.front_end.sample_rate

    @property
    def ready(self) -> bool:
        """Whether enough audio for a hop is waiting."""
        return self.waiting_s * 1000 >= self.model.hop_ms

    def feed(self, pcm: bytes) -> None:
        """Add audio, 16-bit little-endian mono; a sample may be split between two calls.

        Raises:
            TooFast: the client sends faster than real time.
            Overloaded: the server processes audio more slowly than real time.
        """
        if self._real_time_limit is not None:
            self._real_time_limit.count(len(pcm) / (SAMPLE_BYTES * self.rate))
        if self.waiting_s > self._backlog_s:
            raise Overloaded(f"the server is more than {self._backlog_s:g} s behind")
        self._unread += pcm
        self._sent += len(pcm)

    def finish(self) -> None:
        """End the audio with some silence, in which a word at the very end is still detected."""
        silence_ms = self.model.front_end.tail_ms + self.model.hop_ms + _SETTLING_MS
        self._unread += bytes(SAMPLE_BYTES * round(self.rate * silence_ms / 1000))
        self.finishing = True

    def take(self) -> bytes:
        """Take the audio that was fed since the last call; half a sample is left for the next."""
        whole = len(self._unread) - len(self._unread) % SAMPLE_BYTES
        pcm = bytes(self._unread[:whole])
        del self._unread[:whole]
        return pcm

    def process(self, pcm: bytes) -> Samples | None:
        """Add audio, and return the next hop with the samples that overlap the one before; None if it is incomplete."""
        if pcm:
            samples = np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples)
            self._samples = np.concatenate([self._samples, samples])
        whole = self.model.overlap + self.model.hop
        if len(self._samples) < whole:
            return None
        hop, self._samples = self._samples[:whole], self._samples[self.model.hop :]
        return hop

    def update_state(self, state: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
        """Keep the backbone's outputs for the hop. They are copied: a view would keep the whole batch alive."""
        self.state[...] = state
        self.recent[:-1] = self.recent[1:]
        self.recent[-1] = embedding

    def is_candidate(self, scores: Sequence[float]) -> bool:
        """Whether the backbone has to embed a hop with these scores on the student's embeddings, one per keyword."""
        over = any(score >= keyword.gate for score, keyword in zip(scores, self.keywords, strict=True))
        return self.backbone is not None and self.backbone.is_active(over)

    def amend(self, scores: Sequence[float]) -> None:
        """Put better scores, one for each keyword, in the place of the last ones, to tell the moment of a detection."""
        for debouncer, score in zip(self._debouncers, scores, strict=True):
            debouncer.amend(score)

    def decide(self, scores: Sequence[float], level_dbfs: float) -> HopResult:
        """Turn the scores of the next hop, one for each keyword, into detections."""
        self._hops += 1
        hits = [debouncer.step(score) for debouncer, score in zip(self._debouncers, scores, strict=True)]
        detections = tuple(
            WordDetection(keyword, self._within(hit.time_ms), hit.score)
            for keyword, hit in zip(self.keywords, hits, strict=True)
            if hit is not None
        )
        return HopResult(round(self._hops * self.model.hop_ms), level_dbfs, scores, detections)

    def _within(self, time_ms: int) -> int:
        """A time in the audio: after its end, the score that suffices may lie in the silence that was added."""
        return min(time_ms, self.sent_ms) if self.finishing else time_ms


class _RealTimeLimit:
    """Limits audio to real time. After a pause of the network, a backlog's worth of audio may arrive at once."""

    def __init__(self, slack_s: float, clock: Callable[[], float]) -> None:
        self._slack_s = slack_s
        self._clock = clock
        self._last = clock()
        self._ahead_s = 0.0

    def count(self, seconds: float) -> None:
        now = self._clock()
        self._ahead_s = max(-self._slack_s, self._ahead_s - (now - self._last)) + seconds
        self._last = now
        if self._ahead_s > self._slack_s:
            raise TooFast(f"audio arrives more than {self._slack_s:g} s ahead of real time: send it as it is recorded")


def _resampler(rate: int, wanted: int) -> soxr.ResampleStream | None:
    return None if rate == wanted else soxr.ResampleStream(rate, wanted, 1, dtype="float32")
