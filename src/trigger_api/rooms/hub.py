"""All live streams of one process: opened within limits, grouped by model, told to whoever follows."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import structlog

from trigger_api.cards import ModelCard
from trigger_api.errors import Overloaded, TooManyStreams
from trigger_api.inference import Engine
from trigger_api.metrics import Metrics
from trigger_api.registry import Model, Registry
from trigger_api.rooms.board import Board
from trigger_api.rooms.broker import Broker, Detected, LocalBroker, Roll
from trigger_api.rooms.conductor import Conductor
from trigger_api.rooms.events import EventLog, new_id, now
from trigger_api.rooms.session import Ear, Heard, Session, hears_streams
from trigger_api.rooms.stream import Stream
from trigger_api.schemas import RoomEvent, RoomState, StreamQuery
from trigger_api.settings import Settings
from trigger_api.tasks.trigger import decision_for, listener_for, word_of

_log = structlog.get_logger(__name__)


class Hub:
    """Opens streams and says what was heard in them."""

    def __init__(self, settings: Settings, engine: Engine, registry: Registry, metrics: Metrics) -> None:
        self.events = EventLog(settings.events_kept)
        self._settings = settings
        self._engine = engine
        self._registry = registry
        self._metrics = metrics
        self._broker = _broker(settings)
        self.node = uuid.uuid4().hex[:8]
        self._board = Board(self._broker, self.node)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="rooms")
        self._conductors: dict[Model, Conductor] = {}
        self._callers: Counter[str] = Counter()

    async def start(self) -> None:
        """Begin to hear of other processes."""
        await self._broker.start(self._deliver)
        self._board.start()

    def release(self) -> None:
        """Let everybody go who follows: the server is about to end, and would wait for them."""
        self.events.close()

    async def close(self) -> None:
        """Stop."""
        self.release()
        await self._board.close()
        await self._broker.close()
        for conductor in self._conductors.values():
            await conductor.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def rooms(self) -> list[RoomState]:
        """Who streams now, to any process that we hear of."""
        return self._board.rooms()

    def cards(self) -> list[ModelCard]:
        """The models that hear streams; the first is the default."""
        cards = (entry.card for entry in self._registry.entries)
        return [card for card in cards if card.task == "trigger" and hears_streams(card)]

    @asynccontextmanager
    async def open(self, query: StreamQuery, caller: str, *, paced: bool = True) -> AsyncIterator[Stream]:
        """A stream for as long as the block lasts. It keeps the model version that it began with.

        Args:
            query: what is wanted.
            caller: who wants it; streams are counted by caller.
            paced: whether audio may not come faster than real time; else the caller waits for ``Stream.caught_up``.

        Raises:
            ServiceError: there is no such model, it is not ready or keeps no state, or there are too many streams.
        """
        with self._seat(caller), self._registry.acquire("trigger", self._model(query), query.version) as model:
            async with self._conducted(model) as conductor:
                stream = self._stream(query, conductor, paced)
                conductor.streams.add(stream)
                self._board.add(stream)
                try:
                    yield stream
                finally:
                    self._board.remove(stream)
                    conductor.leave(stream)

    def _stream(self, query: StreamQuery, conductor: Conductor, paced: bool) -> Stream:
        card = conductor.ear.card
        decision = decision_for(card, sensitivity=query.sensitivity, threshold=query.threshold)
        session = Session(
            conductor.ear,
            query.rate,
            decision,
            backlog_s=self._settings.stream_backlog_s,
            paced=paced,
            gate_dbfs=query.vad_dbfs,
        )
        return Stream(session, query.room, word_of(card), conductor.fed, scores=query.scores)

    @asynccontextmanager
    async def _conducted(self, model: Model) -> AsyncIterator[Conductor]:
        """The model's conductor: the first who needs it makes it, the last lets it go."""
        if model not in self._conductors:
            self._conductors[model] = Conductor(Ear(model), self._engine, self._pool, self._metrics, self._heard)
        conductor = self._conductors[model]
        conductor.users += 1
        try:
            yield conductor
        finally:
            conductor.users -= 1
            if not conductor.users:
                self._conductors.pop(model, None)
                await conductor.close()

    @contextmanager
    def _seat(self, caller: str) -> Iterator[None]:
        if self._callers.total() >= self._settings.max_streams:
            raise Overloaded(f"all {self._settings.max_streams} streams of this server are taken", retry_after=10)
        if self._callers[caller] >= self._settings.max_streams_per_caller:
            raise TooManyStreams(f"{self._settings.max_streams_per_caller} streams of this caller are open already")
        self._callers[caller] += 1
        try:
            with self._metrics.streams.track_inprogress():
                yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def _model(self, query: StreamQuery) -> str | None:
        if query.model:
            return query.model
        cards = self.cards()
        if not query.word:
            return next((card.name for card in cards), None)
        return listener_for(cards, query.word)

    def _heard(self, stream: Stream, heard: Heard) -> None:
        card = stream.session.ear.card
        for hit in heard.detections:
            event = RoomEvent(
                id=new_id(self.node),
                at=now(),
                room=stream.room,
                word=stream.word,
                time_ms=hit.time_ms,
                score=hit.score,
                model=card.name,
                version=card.version,
            )
            self._metrics.detections.labels(card.name).inc()
            self._board.note(stream, event)
            self._broker.publish(Detected(event=event))

    def _deliver(self, news: Detected | Roll) -> None:
        if isinstance(news, Detected):
            self.events.add(news.event)
        else:
            self._board.hear(news)


def _broker(settings: Settings) -> Broker:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    if not url.startswith(("postgresql://", "postgres://")):
        return LocalBroker()
    from trigger_api.rooms.postgres import PostgresBroker  # an extra: only who shares a database needs the driver

    return PostgresBroker(url)
