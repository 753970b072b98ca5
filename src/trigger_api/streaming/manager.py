"""All live streams of one process: opened within limits, grouped by backbone, told to whoever follows."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import structlog

from trigger_api.errors import Overloaded, TooManyStreams, Unprocessable
from trigger_api.inference import Engine
from trigger_api.model_card import ModelCard
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Model, Registry
from trigger_api.schemas import RoomEvent, RoomState, StreamQuery
from trigger_api.settings import Settings
from trigger_api.streaming.batcher import StreamBatcher
from trigger_api.streaming.event_log import EventLog, new_id, now
from trigger_api.streaming.presence import Presence
from trigger_api.streaming.pubsub import Detected, LocalPubSub, PresenceUpdate, PubSub
from trigger_api.streaming.session import HopResult, Keyword, Session, StreamModel
from trigger_api.streaming.stream import Stream
from trigger_api.tasks.trigger.words import WordModel, acquire, decision_for, models_for_words

_log = structlog.get_logger(__name__)


class StreamManager:
    """Opens streams and says what was heard in them."""

    def __init__(self, settings: Settings, engine: Engine, registry: Registry, metrics: Metrics) -> None:
        self.events = EventLog(settings.events_kept)
        self._settings = settings
        self._engine = engine
        self._registry = registry
        self._metrics = metrics
        self._pubsub = _pubsub(settings)
        self.node = uuid.uuid4().hex[:8]
        self._presence = Presence(self._pubsub, self.node)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="rooms")
        self._batchers: dict[Model, StreamBatcher] = {}
        self._callers: Counter[str] = Counter()

    async def start(self) -> None:
        """Begin to hear of other processes."""
        await self._pubsub.start(self._deliver)
        self._presence.start()

    def release(self) -> None:
        """Let everybody go who follows: the server is about to end, and would wait for them."""
        self.events.close()

    async def close(self) -> None:
        """Stop."""
        self.release()
        await self._presence.close()
        await self._pubsub.close()
        for batcher in self._batchers.values():
            await batcher.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def rooms(self) -> list[RoomState]:
        """Who streams now, to any process that we hear of."""
        return self._presence.rooms()

    def cards(self) -> list[ModelCard]:
        """The models that hear streams, each with the version that serves; the first is the default."""
        names = dict.fromkeys(entry.card.name for entry in self._registry.versions if entry.card.task == "trigger")
        cards = [self._registry.find("trigger", name).card for name in names]
        return [card for card in cards if card.backbone]

    @asynccontextmanager
    async def open(self, query: StreamQuery, caller: str, *, paced: bool = True) -> AsyncIterator[Stream]:
        """A stream for as long as the block lasts. It keeps the model versions that it began with.

        Args:
            query: what is wanted.
            caller: who wants it; streams are counted by caller.
            paced: whether audio may not come faster than real time; else the caller waits for ``Stream.caught_up``.

        Raises:
            ServiceError: there is no such model, it is not ready or hears no streams, or there are too many of them.
        """
        with self._slot(caller), acquire(self._registry, self._names(query), query.version) as models:
            async with self._batched(_backbone(models)) as batcher:
                stream = self._stream(query, models, batcher, paced)
                batcher.join(stream)
                self._presence.add(stream)
                try:
                    yield stream
                finally:
                    self._presence.remove(stream)
                    batcher.leave(stream)

    def _stream(self, query: StreamQuery, models: Sequence[WordModel], batcher: StreamBatcher, paced: bool) -> Stream:
        session = Session(
            batcher.model,
            query.rate,
            [_keyword(word.model, query) for word in models],
            backlog_s=self._settings.stream_backlog_s,
            paced=paced,
            gate_dbfs=query.vad_dbfs,
        )
        return Stream(session, query.room, batcher.on_audio, scores=query.scores)

    @asynccontextmanager
    async def _batched(self, backbone: Model) -> AsyncIterator[StreamBatcher]:
        """The backbone's batcher: the first who needs it makes it, the last lets it go."""
        if backbone not in self._batchers:
            model = StreamModel(backbone)
            self._batchers[backbone] = StreamBatcher(model, self._engine, self._pool, self._metrics, self._on_detection)
        batcher = self._batchers[backbone]
        batcher.users += 1
        try:
            yield batcher
        finally:
            batcher.users -= 1
            if not batcher.users:
                self._batchers.pop(backbone, None)
                await batcher.close()

    @contextmanager
    def _slot(self, caller: str) -> Iterator[None]:
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

    def _names(self, query: StreamQuery) -> list[str | None]:
        """The models that a query asks for."""
        cards = self.cards()
        if query.model or not query.word:
            return [query.model or next((card.name for card in cards), None)]
        return [*models_for_words(cards, query.word)]

    def _on_detection(self, stream: Stream, result: HopResult) -> None:
        for hit in result.detections:
            card = hit.keyword.card
            event = RoomEvent(
                id=new_id(self.node),
                at=now(),
                room=stream.room,
                word=hit.keyword.word,
                time_ms=hit.time_ms,
                score=hit.score,
                model=card.name,
                version=card.version,
            )
            self._metrics.detections.labels(card.name).inc()
            self._presence.note(stream, event)
            self._pubsub.publish(Detected(event=event))

    def _deliver(self, news: Detected | PresenceUpdate) -> None:
        if isinstance(news, Detected):
            self.events.add(news.event)
        else:
            self._presence.on_message(news)


def _keyword(model: Model, query: StreamQuery) -> Keyword:
    return Keyword(model, decision_for(model.card, sensitivity=query.sensitivity, threshold=query.threshold))


def _backbone(models: Sequence[WordModel]) -> Model:
    """The one backbone of all words of a stream.

    Raises:
        Unprocessable: a model hears whole recordings only, or there are several backbones.
    """
    whole = [word.card.name for word in models if word.backbone is None]
    if whole:
        raise Unprocessable(f"{', '.join(whole)} hears whole recordings only")
    backbones = {word.backbone for word in models if word.backbone is not None}
    if len(backbones) > 1:
        raise Unprocessable("these words need different backbones: open a stream for those of each")
    return backbones.pop()


def _pubsub(settings: Settings) -> PubSub:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    if not url.startswith(("postgresql://", "postgres://")):
        return LocalPubSub()
    from trigger_api.streaming.postgres import PostgresPubSub  # an extra: only who shares a database needs the driver

    return PostgresPubSub(url)
