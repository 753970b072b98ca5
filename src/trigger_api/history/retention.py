"""How long the history is kept: by age and by number."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.errors import ServiceError
from trigger_api.storage import predictions, users
from trigger_api.storage.database import Database
from trigger_api.storage.tables import now
from trigger_api.storage.uncancelled import Uncancelled

_EVERY_S = 3_600.0
_TOGETHER = 500  # deleted in one transaction
_log = structlog.get_logger(__name__)


async def remove_expired(database: Database, *, days: float | None, most: int | None) -> int:
    """Delete predictions older than ``days``, and of every account the oldest beyond ``most``; returns how many.

    Several servers may do it at once.

    Raises:
        StorageUnavailable: the database cannot be reached.
    """
    if days is None and most is None:
        return 0
    return sum([await _remove(database, owner_id, days, most) for owner_id in await _owners(database)])


async def run(database: Database, uncancelled: Uncancelled, *, days: float | None, most: int | None) -> None:
    """Do it every hour, for ever."""
    while True:
        try:
            removed = await uncancelled.run(remove_expired(database, days=days, most=most))
            if removed:
                _log.info("removed expired predictions", count=removed)
        except ServiceError as error:
            _log.warning("expired predictions were not removed", error=error.detail)
        await asyncio.sleep(_EVERY_S)


async def in_steps(database: Database, step: Callable[[AsyncSession], Awaitable[int]]) -> int:
    """Run a deletion of some rows until nothing is left to delete: others may write in between."""
    total, removed = 0, 1
    while removed:
        async with database.write() as session:
            removed = await step(session)
        total += removed
    return total


async def _remove(database: Database, owner_id: UUID, days: float | None, most: int | None) -> int:
    async def old(session: AsyncSession) -> int:
        than = now() - timedelta(days=days or 0)
        return await predictions.remove_older(session, owner_id=owner_id, than=than, limit=_TOGETHER)

    async def surplus(session: AsyncSession) -> int:
        return await predictions.remove_surplus(session, owner_id=owner_id, most=most or 0, limit=_TOGETHER)

    removed = await in_steps(database, old) if days is not None else 0
    return removed + (await in_steps(database, surplus) if most is not None else 0)


async def _owners(database: Database) -> list[UUID]:
    found: list[UUID] = []
    name = ""
    while True:
        async with database.read() as session:
            page = await users.page(session, after=name)
        if not page:
            return found
        found += [user.id for user in page]
        name = page[-1].name
