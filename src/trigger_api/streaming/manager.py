"""All live streams of one process: opened within limits, batched by backbone, their detections published."""

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
from trigger_api.streaming.pubsub import Detected, LocalPubSub, Message, PubSub
from trigger_api.streaming.session import HopResult, Keyword, Session, StreamModel, WordDetection
from trigger_api.streaming.stream import Stream
from trigger_api.tasks.trigger.words import WordModel, acquire, decision_for, models_for_words

_log = structlog.get_logger(__name__)


class StreamManager:
    """Opens streams and publishes their detections."""

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
        self._batchers: dict[tuple[Model, Model | None], StreamBatcher] = {}
        self._callers: Counter[str] = Counter()

    async def start(self) -> None:
        """Connect to the other processes."""
        await self._pubsub.start(self._on_message)
        self._presence.start()

    def begin_shutdown(self) -> None:
        """End every subscription: the server would wait for them before it stops."""
        self.events.close()

    async def close(self) -> None:
        """Stop."""
        self.begin_shutdown()
        await self._presence.close()
        await self._pubsub.close()
        for batcher in self._batchers.values():
            await batcher.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def rooms(self) -> list[RoomState]:
        """The streams that are open now, in all processes."""
        return self._presence.rooms()

    def cards(self) -> list[ModelCard]:
        """The cards of the models that take streams, in the version that serves; the first is the default."""
        names = dict.fromkeys(entry.card.name for entry in self._registry.versions if entry.card.task == "trigger")
        cards = [self._registry.find("trigger", name).card for name in names]
        return [card for card in cards if card.backbone]

    @asynccontextmanager
    async def open(self, query: StreamQuery, caller: str, *, real_time: bool = True) -> AsyncIterator[Stream]:
        """Open a stream for the duration of the block. It keeps the model versions that it begins with.

        Args:
            query: the client's options.
            caller: the client, whose number of streams is limited.
            real_time: whether audio faster than real time is an error; if not, wait for ``Stream.caught_up``.

        Raises:
            ServiceError: the model is unknown, not ready or takes no streams, or too many streams are open.
        """
        with self._slot(caller), acquire(self._registry, self._names(query), query.version) as models:
            async with self._batched(_backbone(models), _student(models)) as batcher:
                stream = self._stream(query, models, batcher, real_time)
                batcher.join(stream)
                self._presence.add(stream)
                try:
                    yield stream
                finally:
                    self._presence.remove(stream)
                    batcher.leave(stream)

    def _stream(
        self, query: StreamQuery, models: Sequence[WordModel], batcher: StreamBatcher, real_time: bool
    ) -> Stream:
        session = Session(
            batcher.model,
            query.rate,
            [_keyword(word.model, query) for word in models],
            backlog_s=self._settings.stream_backlog_s,
            real_time=real_time,
            gate_dbfs=query.vad_dbfs,
        )
        return Stream(session, query.room, batcher.on_audio, scores=query.scores)

    @asynccontextmanager
    async def _batched(self, backbone: Model, student: Model | None) -> AsyncIterator[StreamBatcher]:
        """The batcher of a backbone and its student, which exists as long as a stream uses it."""
        key = (backbone, student)
        if key not in self._batchers:
            model = StreamModel(student, StreamModel(backbone)) if student else StreamModel(backbone)
            self._batchers[key] = StreamBatcher(model, self._engine, self._pool, self._metrics, self._on_detection)
        batcher = self._batchers[key]
        batcher.users += 1
        try:
            yield batcher
        finally:
            batcher.users -= 1
            if not batcher.users:
                self._batchers.pop(key, None)
                await batcher.close()

    @contextmanager
    def _slot(self, caller: str) -> Iterator[None]:
        if self._callers.total() >= self._settings.max_streams:
            raise Overloaded(f"all {self._settings.max_streams} streams of this server are in use", retry_after=10)
        if self._callers[caller] >= self._settings.max_streams_per_caller:
            raise TooManyStreams(f"you already have {self._settings.max_streams_per_caller} streams open, the maximum")
        self._callers[caller] += 1
        try:
            with self._metrics.streams.track_inprogress():
                yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def _names(self, query: StreamQuery) -> list[str | None]:
        """The names of the models for a query."""
        cards = self.cards()
        if query.model or not query.word:
            return [query.model or next((card.name for card in cards), None)]
        return [*models_for_words(cards, query.word)]

    def _on_detection(self, stream: Stream, result: HopResult) -> None:
        for hit in result.detections:
            event = _event(self.node, stream.room, hit)
            self._metrics.detections.labels(event.model).inc()
            self._presence.record_detection(stream, event)
            self._pubsub.publish(Detected(event=event))

    def _on_message(self, message: Message) -> None:
        if isinstance(message, Detected):
            self.events.add(message.event)
        else:
            self._presence.on_message(message)


def _event(node: str, room: str, hit: WordDetection) -> RoomEvent:
    card = hit.keyword.card
    return RoomEvent(
        id=new_id(node), at=now(), room=room, word=hit.keyword.word, time_ms=hit.time_ms, score=hit.score,
        model=card.name, version=card.version,
    )  # fmt: skip


def _keyword(model: Model, query: StreamQuery) -> Keyword:
    return Keyword(model, decision_for(model.card, sensitivity=query.sensitivity, threshold=query.threshold))


def _backbone(models: Sequence[WordModel]) -> Model:
    """The one backbone of all words of a stream.

    Raises:
        Unprocessable: a model takes whole recordings only, or there are several backbones.
    """
    whole = [word.card.name for word in models if word.backbone is None]
    if whole:
        raise Unprocessable(f"not available for live streams, whole recordings only: {', '.join(whole)}")
    backbones = {word.backbone for word in models if word.backbone is not None}
    if len(backbones) > 1:
        raise Unprocessable("these words have different backbones: open one stream for each backbone")
    return backbones.pop()


def _student(models: Sequence[WordModel]) -> Model | None:
    """The student that all words of a stream share; None if they do not."""
    students = {word.student for word in models}
    return students.pop() if len(students) == 1 else None


def _pubsub(settings: Settings) -> PubSub:
    if settings.postgresql_url is None:
        return LocalPubSub()
    from trigger_api.streaming.postgres import PostgresPubSub  # needs an extra

    return PostgresPubSub(settings.postgresql_url)
