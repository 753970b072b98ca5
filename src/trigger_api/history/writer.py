"""The one writer of the history: what waits is written together, and whoever asked is told once it is durable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import Connection

from trigger_api.errors import Overloaded, ServiceError, StorageUnavailable
from trigger_api.history.record import Record
from trigger_api.storage import predictions
from trigger_api.storage.database import Database

_WAITING = 512  # predictions that may wait
_WAITING_BYTES = 128 * 2**20  # of all of them together
_TOGETHER, _TOGETHER_BYTES = 64, 16 * 2**20  # written in one transaction; one prediction may be larger
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Entry:
    record: Record
    size: int
    saved: asyncio.Future[None]


class Writer:
    """Writes predictions, in transactions of many.

    Args:
        database: where they are kept.
        quota: bytes that an account may hold; None for any number.
    """

    def __init__(self, database: Database, quota: int | None) -> None:
        self._database = database
        self._quota = quota
        self._entries: asyncio.Queue[_Entry | None] = asyncio.Queue()
        self._bytes = 0
        self._closing = False
        self._task = asyncio.create_task(self._run())

    async def write(self, record: Record) -> UUID:
        """Write a prediction. When this returns its id, it survives the loss of power.

        Raises:
            Overloaded: too much is waiting already.
            StorageUnavailable: the database cannot be reached.
            InsufficientStorage: the disk is full, or the account's quota is.
            Conflict: the account has been deleted.
        """
        size = record.size
        if self._closing:
            raise StorageUnavailable("the server is shutting down", retry_after=1)
        if self._entries.qsize() >= _WAITING or self._bytes + size > max(_WAITING_BYTES, size):
            raise Overloaded("too many predictions are waiting to be saved", retry_after=1)
        entry = _Entry(record, size, asyncio.get_running_loop().create_future())
        self._bytes += size
        self._entries.put_nowait(entry)
        await entry.saved
        return record.id

    async def close(self) -> None:
        """Write what is waiting, and stop."""
        self._closing = True
        self._entries.put_nowait(None)
        await self._task

    async def _run(self) -> None:
        while entries := await self._next():
            try:
                await self._write(entries)
            finally:
                self._bytes -= sum(entry.size for entry in entries)

    async def _next(self) -> list[_Entry]:
        """The entries of the next transaction: the first that comes, and what is waiting behind it; none at the end."""
        entry = await self._entries.get()
        entries, size = [entry] if entry else [], 0
        while entry and not self._entries.empty() and len(entries) < _TOGETHER:
            size += entry.size
            if size > _TOGETHER_BYTES:
                break
            entry = self._entries.get_nowait()
            entries += [entry] if entry else []
        if entries and entry is None:
            self._entries.put_nowait(None)
        return entries

    async def _write(self, entries: Sequence[_Entry]) -> None:
        try:
            await self._commit(entries)
            error = None
        except ServiceError as failure:
            error = failure
        except Exception as failure:  # one record that cannot be written must not end the writer
            _log.error("the history was not written", exc_info=failure)
            error = ServiceError("internal error; this was not saved")
        if error and len(entries) > 1 and not isinstance(error, StorageUnavailable):
            for entry in entries:  # the fault is one account's or one record's
                await self._write([entry])
            return
        for entry in entries:
            _finish(entry, error)

    async def _commit(self, entries: Sequence[_Entry]) -> None:
        records = [entry.record for entry in entries]
        sizes: Counter[UUID] = Counter()
        for entry in entries:
            sizes[entry.record.owner_id] += entry.size

        def work(connection: Connection) -> None:
            predictions.write_all(
                connection,
                sizes=sizes,
                quota=self._quota,
                rows=[record.row() for record in records],
                labels=[row for record in records for row in record.label_rows()],
                media=[row for record in records for row in record.media_rows()],
            )

        await self._database.write_in_thread(work)


def _finish(entry: _Entry, error: ServiceError | None) -> None:
    if entry.saved.done():  # nobody waits any more
        return
    if error is None:
        entry.saved.set_result(None)
    else:
        # A copy each: several requests would add to one traceback, and to one problem's members.
        entry.saved.set_exception(_copy(error))


def _copy(error: ServiceError) -> ServiceError:
    made = type(error).__new__(type(error))
    ServiceError.__init__(made, error.detail, retry_after=error.retry_after)
    made.members = dict(error.members)
    return made
