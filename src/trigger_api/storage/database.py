"""The database of a service: opened and migrated in the background, and lost without harm to what does not need it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import TypeVar

import structlog
from sqlalchemy import Connection, exc
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from trigger_api.errors import Conflict, ServiceError, StorageFull, StorageUnavailable, Unprocessable
from trigger_api.storage import migration
from trigger_api.storage.engine import (
    create_engine,
    create_writing_engine,
    default_url,
    is_postgresql,
    make_file,
    sqlite_path,
)

T = TypeVar("T")
_RETRY_S, _MAX_RETRY_S = 1.0, 30.0  # between attempts to open the database, at first and at most
_PAUSE_S = 0.5  # after a lost connection, requests are refused at once for so long
_FULL = {"53100", "SQLITE_FULL"}
_log = structlog.get_logger(__name__)


class Database:
    """One database, and the sessions on it.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``; by default a SQLite file in the user's data folder.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url or default_url()
        self.engine: AsyncEngine = create_engine(self.url)
        self._writer = self.engine.execution_options(writes=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._blocking = create_writing_engine(self.url)
        self._is_open = False
        self._refused_until = 0.0
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the database has been reached and its tables are those of this version."""
        return self._is_open

    async def open(self, patience_s: float = 5.0) -> None:
        """Connect and migrate. If that fails, or takes longer than ``patience_s`` seconds, go on in the background."""
        tried = asyncio.Event()
        self._opening = asyncio.create_task(self._open_forever(tried))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await tried.wait()

    async def migrate(self) -> None:
        """Bring the tables to this version, once.

        Raises:
            StorageUnavailable: the database cannot be reached, or belongs to a later version.
            StorageFull: its disk is full.
        """
        with self._translated():
            if not is_postgresql(self.url):
                await asyncio.to_thread(make_file, sqlite_path(self.url))
            await self._migrate()
        self._is_open = True
        self._refused_until = 0.0

    async def close(self) -> None:
        """Stop, and close every connection."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        await self.engine.dispose()
        await asyncio.to_thread(self._thread.shutdown)
        self._blocking.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads.

        Raises:
            StorageUnavailable: the database cannot be reached.
        """
        async with self._session(self.engine) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are durable when the block ends, and undone if it raises.

        Raises:
            StorageUnavailable: the database cannot be reached; nothing has been written.
            StorageFull: its disk is full; nothing has been written.
        """
        async with self._session(self._writer) as session:
            yield session

    async def write_in_thread(self, work: Callable[[Connection], T]) -> T:
        """A transaction as a whole in the database's own thread, durable when this returns.

        It costs less than ``write``, where each statement goes to a thread and back several times; nothing cancels it.

        Args:
            work: the transaction; what it raises undoes it.

        Raises:
            As ``write`` does.
        """
        self._check()
        with self._translated():
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._blocking.begin() as connection:
            return work(connection)

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        self._check()
        with self._translated():
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                yield session

    async def _migrate(self) -> None:
        try:
            async with self._writer.begin() as connection:
                await connection.run_sync(migration.upgrade)
        except exc.ProgrammingError as error:  # the tables may not be made, or are not those that they should be
            raise _unavailable() from error

    def _check(self) -> None:
        if not self.is_open or time.monotonic() < self._refused_until:
            raise _unavailable()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the errors of the database into our own, without their text: it may hold the URL or the values."""
        try:
            yield
        except exc.IntegrityError as error:  # what was expected is handled where it is: this is a race
            raise Conflict("this has changed meanwhile; try again") from error
        except exc.DataError as error:
            raise Unprocessable("a value has characters or a size that the database cannot store") from error
        except (
            exc.OperationalError,
            exc.InterfaceError,
            exc.InternalError,
            exc.TimeoutError,
            OSError,
            sqlite3.Error,
        ) as error:
            raise self._failure(error) from error
        except migration.UnknownRevision as error:
            raise StorageUnavailable(str(error)) from error

    def _failure(self, error: Exception) -> ServiceError:
        if _code(error) in _FULL:
            return StorageFull("the server's disk is full; nothing was saved")
        self._refused_until = time.monotonic() + _PAUSE_S
        return _unavailable()

    async def _open_forever(self, tried: asyncio.Event) -> None:
        for attempt in count():
            try:
                await self.migrate()
                tried.set()
                return
            except ServiceError as error:
                cause = error.__cause__
                _log.warning("database unavailable: trying again", error=_code(cause) or type(cause).__name__)
                tried.set()
                await asyncio.sleep(min(_RETRY_S * 2**attempt, _MAX_RETRY_S))


def _unavailable() -> StorageUnavailable:
    return StorageUnavailable("the database is unavailable; try again later", retry_after=2)


def _code(error: BaseException | None) -> str:
    """PostgreSQL's SQLSTATE or SQLite's name of an error, empty if it has neither."""
    origin = getattr(error, "orig", error)
    return str(getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None) or "")
