"""Whose a session or an API token is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.accounts.caller import SCOPES, Caller
from trigger_api.accounts.credentials import Kind, digest, is_secret
from trigger_api.errors import ServiceError, StorageUnavailable
from trigger_api.storage import sessions, tokens
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Session, Token, User, now

_FRESH_S = 5.0  # another process's revocation is noticed after so long
_STALE_S = 3_600.0  # how long a caller stays known while the database is away
_TOUCH = timedelta(minutes=1)
_MOST = 10_000


@dataclass(frozen=True)
class _Identity:
    caller: Caller
    expires_at: datetime | None
    loaded: float

    def is_valid(self, seconds: float) -> bool:
        expired = self.expires_at is not None and self.expires_at <= now()
        return not expired and time.monotonic() - self.loaded < seconds


class Identities:
    """Finds the caller with a secret. It remembers them, so that a busy caller does not ask the database each time.

    Args:
        database: holds sessions and tokens.
        idle: sessions that are not used for so long have ended.
    """

    def __init__(self, database: Database, idle: timedelta) -> None:
        self._database = database
        self._idle = idle
        self._known: dict[bytes, _Identity] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def find(self, secret: str) -> Caller | None:
        """The caller with a session's secret or an API token; None if it is neither.

        Raises:
            StorageUnavailable: the database cannot be reached, and the caller has not been here lately.
        """
        kind = next((kind for kind in (Kind.SESSION, Kind.TOKEN) if is_secret(secret, kind)), None)
        if kind is None:
            return None
        key = digest(secret)
        known = self._known.get(key)
        if known is not None and known.is_valid(_FRESH_S):
            return known.caller
        try:
            return self._remember(key, await self._load(kind, key))
        except StorageUnavailable:
            if known is not None and known.is_valid(_STALE_S):
                return known.caller
            raise

    def forget(self, user_id: UUID) -> None:
        """Look an account's callers up again: its sessions, tokens or rights have changed."""
        self._known = {key: known for key, known in self._known.items() if known.caller.user_id != user_id}

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _remember(self, key: bytes, identity: _Identity | None) -> Caller | None:
        self._known.pop(key, None)
        if identity is None:
            return None
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = identity
        return identity.caller

    async def _load(self, kind: Kind, key: bytes) -> _Identity | None:
        async with self._database.read() as session:
            if kind is Kind.TOKEN:
                found = await tokens.find(session, secret_hash=key)
                return self._of_token(*found) if found else None
            row = await sessions.find(session, secret_hash=key)
        return self._of_session(*row) if row else None

    def _of_session(self, row: Session, user: User) -> _Identity | None:
        at = now()
        if row.expires_at <= at or row.seen_at + self._idle <= at:
            return None
        if row.seen_at + _TOUCH <= at:
            self._write(partial(sessions.touch, session_id=row.id, at=at))
        caller = Caller(
            admin=user.is_admin, name=user.id.hex, user_id=user.id, session_id=row.id, keeps_history=user.keeps_history
        )
        return _Identity(caller, row.expires_at, time.monotonic())

    def _of_token(self, row: Token, user: User) -> _Identity | None:
        at = now()
        if row.expires_at is not None and row.expires_at <= at:
            return None
        if row.used_at is None or row.used_at + _TOUCH <= at:
            self._write(partial(tokens.touch, token_id=row.id, at=at))
        scopes = frozenset(row.scopes.split()) & frozenset(SCOPES)
        caller = Caller(
            admin=user.is_admin and "models:admin" in scopes, name=user.id.hex, scopes=scopes, has_token=True,
            user_id=user.id, keeps_history=user.keeps_history,
        )  # fmt: skip
        return _Identity(caller, row.expires_at, time.monotonic())

    def _write(self, change: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """Note when a secret was used, in the background: the request does not wait for it, nor fail if it fails."""
        task = asyncio.create_task(self._write_now(change))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_now(self, change: Callable[[AsyncSession], Awaitable[None]]) -> None:
        with suppress(ServiceError):
            async with self._database.write() as session:
                await change(session)
