"""The history behind one object: kept, read, exported and deleted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Conflict, NotFound
from trigger_api.history import retention
from trigger_api.history.owners import Owners
from trigger_api.history.record import Record
from trigger_api.history.writer import Writer
from trigger_api.schemas import HistoryEntry, HistoryItem
from trigger_api.settings import Settings
from trigger_api.storage import predictions
from trigger_api.storage.database import Database
from trigger_api.storage.predictions import Filters
from trigger_api.storage.tables import MEDIA_CHUNK, Prediction
from trigger_api.storage.uncancelled import Uncancelled

_EXPORTED_TOGETHER = 100
_DELETED_TOGETHER = 500


@dataclass(frozen=True)
class StoredMedia:
    """The media of a prediction, and where to read them."""

    prediction: Prediction
    database: Database

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``stop``, in chunks. It ends early if they are deleted meanwhile."""
        for number in range(start // MEDIA_CHUNK, -(-stop // MEDIA_CHUNK)):
            async with self.database.read() as session:
                chunk = await predictions.media_chunk(session, prediction_id=self.prediction.id, number=number)
            if chunk is None:
                return
            offset = number * MEDIA_CHUNK
            yield chunk[max(start - offset, 0) : stop - offset]


class History:
    """The predictions that callers keep.

    Args:
        database: holds them.
        settings: how many, how long, and how large.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self.owners = Owners(database)
        self._writer = Writer(database, settings.quota_mib * 2**20 if settings.quota_mib else None)
        days, most = settings.history_days, settings.history_entries
        self._uncancelled = Uncancelled()
        expiry = retention.run(database, self._uncancelled, days=days, most=most) if days or most else None
        self._retention = asyncio.create_task(expiry) if expiry else None

    async def keep(self, caller: Caller, make: Record) -> UUID:
        """Keep a prediction; see ``Writer.write``."""
        try:
            return await self._writer.write(make)
        except Conflict:
            self.owners.forget(caller)
            raise

    async def page(
        self, caller: Caller, filters: Filters, *, before: UUID | None = None, limit: int = 50
    ) -> list[HistoryItem]:
        """The caller's predictions, the newest first; those before one of them, if given."""
        owner_id = await self.owners.find(caller)
        async with self._database.read() as session:
            rows = await predictions.page(session, owner_id=owner_id, filters=filters, before=before, limit=limit)
            labels = await predictions.labels_of(session, ids=[row.id for row in rows])
        return [_item(row, labels[row.id]) for row in rows]

    async def get(self, caller: Caller, prediction_id: UUID) -> HistoryEntry:
        """One of the caller's predictions.

        Raises:
            NotFound: the caller has no such prediction.
        """
        row = await self._find(caller, prediction_id)
        async with self._database.read() as session:
            labels = await predictions.labels_of(session, ids=[row.id])
        return _entry(row, labels[row.id])

    async def media(self, caller: Caller, prediction_id: UUID) -> StoredMedia:
        """What one of the caller's predictions was made of.

        Raises:
            NotFound: the caller has no such prediction, or it has no media.
        """
        row = await self._find(caller, prediction_id)
        if row.media_type is None:
            raise NotFound("nothing but the answer of this prediction was kept")
        return StoredMedia(row, self._database)

    async def delete(self, caller: Caller, prediction_id: UUID) -> None:
        """Delete one of the caller's predictions.

        Raises:
            NotFound: the caller has no such prediction.
        """
        owner_id = await self.owners.find(caller)
        async with self._database.write() as session:
            removed = await predictions.remove(session, owner_id=owner_id, ids=[prediction_id])
        if not removed:
            raise _unknown()

    async def delete_all(self, caller: Caller, filters: Filters) -> int:
        """Delete the caller's predictions that match; returns how many there were."""
        owner_id = await self.owners.find(caller)

        async def step(session: AsyncSession) -> int:
            return await predictions.remove_some(session, owner_id=owner_id, filters=filters, limit=_DELETED_TOGETHER)

        return await retention.in_steps(self._database, step)

    async def export(self, caller: Caller, filters: Filters, *, media: bool) -> AsyncIterator[bytes]:
        """The caller's predictions with their answers as JSON lines, the newest first.

        Args:
            caller: who asks.
            filters: which of them.
            media: whether to add what they were made of, in base64.
        """
        owner_id, before = await self.owners.find(caller), None
        while rows := await self._whole_page(owner_id, filters, before):
            for row, labels in rows:
                async for piece in self._line(row, labels, media):
                    yield piece
            before = rows[-1][0].id

    async def close(self) -> None:
        """Write what is left to write, and stop."""
        if self._retention is not None:
            self._retention.cancel()
            await asyncio.gather(self._retention, return_exceptions=True)
            await self._uncancelled.finish()
        await self._writer.close()

    async def _find(self, caller: Caller, prediction_id: UUID) -> Prediction:
        owner_id = await self.owners.find(caller)
        async with self._database.read() as session:
            row = await predictions.get(session, owner_id=owner_id, prediction_id=prediction_id)
        if row is None:
            raise _unknown()
        return row

    async def _whole_page(
        self, owner_id: UUID, filters: Filters, before: UUID | None
    ) -> list[tuple[Prediction, list[str]]]:
        async with self._database.read() as session:
            rows = await predictions.whole_page(
                session, owner_id=owner_id, filters=filters, before=before, limit=_EXPORTED_TOGETHER
            )
            labels = await predictions.labels_of(session, ids=[row.id for row in rows])
        return [(row, labels[row.id]) for row in rows]

    async def _line(self, row: Prediction, labels: list[str], media: bool) -> AsyncIterator[bytes]:
        """A line, in pieces: a recording of hours is never in memory as a whole."""
        text = json.dumps(_entry(row, labels).model_dump(mode="json"))
        if media and row.media_type:
            yield f'{text[:-1]}, "media": "'.encode()
            async for chunk in StoredMedia(row, self._database).read(0, row.media_bytes):
                yield base64.b64encode(chunk)
            yield b'"}\n'
        else:
            yield f"{text}\n".encode()


def _item(row: Prediction, labels: list[str]) -> HistoryItem:
    return HistoryItem(**{name: getattr(row, name) for name in _COLUMNS}, labels=labels)


def _entry(row: Prediction, labels: list[str]) -> HistoryEntry:
    return HistoryEntry(**{name: getattr(row, name) for name in _COLUMNS}, labels=labels, answer=row.answer)


_COLUMNS = HistoryItem.model_fields.keys() - {"labels"}


def _unknown() -> NotFound:
    return NotFound("there is no such prediction in your history")
