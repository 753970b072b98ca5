"""One live stream: bytes of audio in, scores and detections out. No network is computed here.

The backbone is `f(mel, state) -> (embeddings, state)`, and each head scores the latest embeddings; everything that
belongs to one stream alone is kept here, so a new session remembers nothing of an old one.
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
from trigger_api.scheduler import BatchQueue
from trigger_api.tasks.trigger.detector import Debouncer
from trigger_api.tasks.trigger.mel import Mel
from trigger_api.tasks.trigger.words import keyword

Samples = NDArray[np.float32]
SAMPLE_BYTES = 2
_FULL_SCALE = np.float32(32_768)
_GATE_HOLD_MS = 2_000  # longer than a word with the pauses in it, and than what a head and its backbone look back on
_SETTLING_MS = 200  # more than what resamplers hold back


class StreamModel:
    """What all streams of one backbone's version share: constants only."""

    def __init__(self, backbone: Model) -> None:
        card = backbone.card
        assert isinstance(card.front_end, MelFrontEnd)
        assert card.frame_ms is not None
        assert card.stream_length is not None
        self.card: ModelCard = card
        self.front_end = card.front_end
        self.hop_ms = card.frame_ms
        self.queue: BatchQueue = backbone.queues[card.stream_length]
        self.mel, self.state = self.queue.specs
        self.embeddings = card.outputs[0].name
        self.silence = backbone.silence

    @cached_property
    def front(self) -> Mel:
        """The front end."""
        return Mel(self.front_end)

    @property
    def hop(self) -> int:
        """Samples from one inference to the next."""
        return self.front.step

    @property
    def overlap(self) -> int:
        """Samples before a hop that its first frame looks back on."""
        return self.front.overlap


@dataclass(frozen=True)
class Keyword:
    """A word that a stream listens for: the head that scores it, and how its scores become detections."""

    model: Model
    decision: Decision

    @property
    def card(self) -> ModelCard:
        """The head's."""
        return self.model.card

    @cached_property
    def span(self) -> int:
        """Embeddings that make one score."""
        return self.card.context + 1

    @cached_property
    def word(self) -> str:
        """The word, as the card has it."""
        return keyword(self.card)


@dataclass(frozen=True)
class WordDetection:
    """A word was heard in a hop."""

    keyword: Keyword
    time_ms: int
    score: float


@dataclass(frozen=True)
class HopResult:
    """What one hop brought.

    Attributes:
        time_ms: its end, in milliseconds since the stream began.
        level_dbfs: how loud it was.
        scores: one a keyword, in their order.
        detections: what was heard.
    """

    time_ms: int
    level_dbfs: float
    scores: Sequence[float]
    detections: tuple[WordDetection, ...]


class VoiceActivityGate:
    """Closes when it has been quiet for a while: silence then costs nothing, and nothing is heard in it.

    The backbone keeps the state it had: what it remembers is quiet too.
    """

    def __init__(self, dbfs: float, hop_ms: float) -> None:
        self._dbfs = dbfs
        self._hops = round(_GATE_HOLD_MS / hop_ms)
        self._left = 0

    def opens(self, level_dbfs: float) -> bool:
        """Whether a hop of this level is to be heard."""
        self._left = self._hops if level_dbfs >= self._dbfs else max(0, self._left - 1)
        return self._left > 0


class Session:
    """One stream.

    `feed`, `take` and `decide` belong to the event loop's thread, `process` and `remember` to the thread of the front
    end; the owner never calls two of these at once.

    Args:
        model: what it shares with the others.
        rate: of the incoming audio, Hz.
        keywords: the words to listen for.
        backlog_s: seconds of audio that may wait here.
        paced: whether audio may not come faster than real time.
        gate_dbfs: hops are skipped after a while below this level; none are if not given.
        clock: seconds; monotonic.
    """

    def __init__(
        self,
        model: StreamModel,
        rate: int,
        keywords: Sequence[Keyword],
        *,
        backlog_s: float = 5.0,
        paced: bool = True,
        gate_dbfs: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.rate = rate
        self.keywords = tuple(keywords)
        self.finishing = False
        self.state = np.zeros(model.state.shape, model.state.dtype)
        self.recent = np.tile(model.silence, (max(keyword.span for keyword in keywords), 1))
        self.gate = None if gate_dbfs is None else VoiceActivityGate(gate_dbfs, model.hop_ms)
        self._debouncers = [Debouncer(keyword.decision, model.hop_ms) for keyword in keywords]
        self._resampler = _resampler(rate, model.front_end.sample_rate)
        self._unread = bytearray()
        self._sent = 0
        self._samples: Samples = np.zeros(model.overlap, np.float32)
        self._hops = 0
        self._backlog_s = backlog_s
        self._pace = _Pace(backlog_s, clock) if paced else None

    @property
    def sent_ms(self) -> int:
        """Whole milliseconds of audio that came."""
        return 1000 * self._sent // (SAMPLE_BYTES * self.rate)

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that came and were not heard yet."""
        unread = len(self._unread) / (SAMPLE_BYTES * self.rate)
        return unread + (len(self._samples) - self.model.overlap) / self.model.front_end.sample_rate

    @property
    def ready(self) -> bool:
        """Whether a hop's worth of audio waits."""
        return self.waiting_s * 1000 >= self.model.hop_ms

    def feed(self, pcm: bytes) -> None:
        """Take the next bytes of 16-bit little-endian mono; a sample may be cut in two.

        Raises:
            TooFast: the client sends faster than real time.
            Overloaded: we hear more slowly than real time.
        """
        if self._pace is not None:
            self._pace.count(len(pcm) / (SAMPLE_BYTES * self.rate))
        if self.waiting_s > self._backlog_s:
            raise Overloaded(f"the server is more than {self._backlog_s:g} s behind")
        self._unread += pcm
        self._sent += len(pcm)

    def finish(self) -> None:
        """No more audio comes: let silence follow, in which a word at the very end is decided on."""
        silence_ms = self.model.front_end.tail_ms + self.model.hop_ms + _SETTLING_MS
        self._unread += bytes(SAMPLE_BYTES * round(self.rate * silence_ms / 1000))
        self.finishing = True

    def take(self) -> bytes:
        """Hand out what came since the last time; half a sample stays."""
        whole = len(self._unread) - len(self._unread) % SAMPLE_BYTES
        pcm = bytes(self._unread[:whole])
        del self._unread[:whole]
        return pcm

    def process(self, pcm: bytes) -> Samples | None:
        """Add audio; the next hop with the samples that overlap the one before, or None if none is complete."""
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

    def remember(self, state: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
        """Keep what the backbone made of the hop. Copied: a view would keep the whole batch alive."""
        self.state[...] = state
        self.recent[:-1] = self.recent[1:]
        self.recent[-1] = embedding

    def decide(self, scores: Sequence[float], level_dbfs: float) -> HopResult:
        """Decide on the scores of the next hop, one a keyword."""
        self._hops += 1
        hits = [decider.step(score) for decider, score in zip(self._debouncers, scores, strict=True)]
        detections = tuple(
            WordDetection(keyword, hit.time_ms, hit.score)
            for keyword, hit in zip(self.keywords, hits, strict=True)
            if hit is not None
        )
        return HopResult(round(self._hops * self.model.hop_ms), level_dbfs, scores, detections)


class _Pace:
    """Real time, give or take: after a pause of the network as much may come at once as the backlog holds."""

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
            raise TooFast(f"audio comes more than {self._slack_s:g} s ahead of real time: send it as it is recorded")


def _resampler(rate: int, wanted: int) -> soxr.ResampleStream | None:
    return None if rate == wanted else soxr.ResampleStream(rate, wanted, 1, dtype="float32")
