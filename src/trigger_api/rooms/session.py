"""One live stream: bytes of audio in, scores and detections out. No network and no model here.

The model is `f(features, state) -> (scores, state)`; everything that belongs to one stream alone is kept here, so a
new session remembers nothing of an old one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soxr
from numpy.typing import NDArray

from trigger_api.cards import Decision, LogMelFrontEnd, ModelCard
from trigger_api.errors import Overloaded, TooFast, Unprocessable
from trigger_api.inference import Lane
from trigger_api.registry import Model
from trigger_api.streaming import Decider, Detection
from trigger_api.tasks.log_mel import LogMel

Samples = NDArray[np.float32]
SAMPLE_BYTES = 2
_FULL_SCALE = np.float32(32_768)
_GATE_HOLD_MS = 1_500  # longer than a word with the pauses in it, and than the context of the bundled model
_SETTLING_MS = 200  # more than what resamplers hold back


class Ear:
    """What all streams of one model version share: constants only.

    Raises:
        Unprocessable: the model hears whole recordings only.
    """

    def __init__(self, model: Model) -> None:
        self.card: ModelCard = model.card
        front_end = model.card.front_end
        if not hears_streams(model.card) or not isinstance(front_end, LogMelFrontEnd):
            raise Unprocessable(f"{model.card.name} hears whole recordings only: it keeps no state between pieces")
        self.front_end = front_end
        self.frames = min(model.lanes)
        self.lane: Lane = model.lanes[self.frames]
        self.features, self.state = self.lane.specs
        self.frame_ms = model.card.frame_ms or 1000 * front_end.hop / front_end.sample_rate

    @cached_property
    def front(self) -> LogMel:
        """The front end."""
        return LogMel(self.front_end)

    @property
    def hop(self) -> int:
        """Samples from one inference to the next."""
        return self.frames * self.front_end.hop

    @property
    def overlap(self) -> int:
        """Samples before a hop that its first frame looks back on."""
        return self.front_end.window - self.front_end.hop

    @property
    def hop_ms(self) -> float:
        """Milliseconds from one inference to the next."""
        return 1000 * self.hop / self.front_end.sample_rate

    @property
    def scores(self) -> int:
        """Scores in a hop."""
        return round(self.hop_ms / self.frame_ms)


@dataclass(frozen=True)
class Heard:
    """What one hop brought: its end in milliseconds since the stream began, highest score, level, detections."""

    time_ms: int
    score: float
    level_dbfs: float
    detections: tuple[Detection, ...]


class Gate:
    """Closes when it has been quiet for a while: silence then costs nothing, and nothing is heard in it.

    The network keeps the state it had: what it remembers is quiet too.
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

    `feed`, `take` and `conclude` belong to the event loop's thread, `hear` to the thread of the front end; the owner
    never calls `hear` twice at once.

    Args:
        ear: what it shares with the others.
        rate: of the incoming audio, Hz.
        decision: threshold, patience and refractory time.
        backlog_s: seconds of audio that may wait here.
        paced: whether audio may not come faster than real time.
        gate_dbfs: hops are skipped after a while below this level; none are if not given.
        clock: seconds; monotonic.
    """

    def __init__(
        self,
        ear: Ear,
        rate: int,
        decision: Decision,
        *,
        backlog_s: float = 5.0,
        paced: bool = True,
        gate_dbfs: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ear = ear
        self.rate = rate
        self.finishing = False
        self.threshold = decision.threshold
        self.state = np.zeros(ear.state.shape, ear.state.dtype)
        self.level_db = ear.front_end.floor_db
        self.gate = None if gate_dbfs is None else Gate(gate_dbfs, ear.hop_ms)
        self._decider = Decider(decision, ear.frame_ms)
        self._resampler = _resampler(rate, ear.front_end.sample_rate)
        self._unread = bytearray()
        self._sent = 0
        self._samples: Samples = np.zeros(ear.overlap, np.float32)
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
        return unread + (len(self._samples) - self.ear.overlap) / self.ear.front_end.sample_rate

    @property
    def ready(self) -> bool:
        """Whether a hop's worth of audio waits."""
        return self.waiting_s * 1000 >= self.ear.hop_ms

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
        silence_ms = self.ear.front_end.tail_ms + self.ear.hop_ms + _SETTLING_MS
        self._unread += bytes(SAMPLE_BYTES * round(self.rate * silence_ms / 1000))
        self.finishing = True

    def take(self) -> bytes:
        """Hand out what came since the last time; half a sample stays."""
        whole = len(self._unread) - len(self._unread) % SAMPLE_BYTES
        pcm = bytes(self._unread[:whole])
        del self._unread[:whole]
        return pcm

    def hear(self, pcm: bytes) -> Samples | None:
        """Add audio; the next hop with the samples that overlap the one before, or None if none is complete."""
        if pcm:
            samples = np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples)
            self._samples = np.concatenate([self._samples, samples])
        whole = self.ear.overlap + self.ear.hop
        if len(self._samples) < whole:
            return None
        hop, self._samples = self._samples[:whole], self._samples[self.ear.hop :]
        return hop

    def conclude(self, scores: NDArray[np.float32], level_dbfs: float) -> Heard:
        """Decide on the scores of the next hop."""
        detections = self._decider.push(scores)
        self._hops += 1
        return Heard(round(self._hops * self.ear.hop_ms), float(scores.max()), level_dbfs, tuple(detections))


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


def hears_streams(card: ModelCard) -> bool:
    """Whether the model takes a state and gives it back, and its front end can go on where it was."""
    return isinstance(card.front_end, LogMelFrontEnd) and len(card.inputs) == 2 and bool(card.lengths)


def _resampler(rate: int, wanted: int) -> soxr.ResampleStream | None:
    return None if rate == wanted else soxr.ResampleStream(rate, wanted, 1, dtype="float32")
