"""Everything that an account owns, row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sqlalchemy import inspect, select

from trigger_api.storage.database import Database
from trigger_api.storage.tables import Base, Job, JobMedia, Prediction, PredictionMedia, Session, Token, User

_SECRETS = {"password_hash", "secret_hash"}
_PAGE = 100


async def rows(database: Database, *, user_id: UUID) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The name of its table and the columns of each row, secrets left out; media follow the row they belong to.

    Each page is a transaction of its own: a slow reader holds up nobody.
    """
    async for user in _pages(database, User, User.id, user_id):
        yield "user", _columns(user)
    for table, owner in ((Session, Session.user_id), (Token, Token.user_id)):
        async for row in _pages(database, table, owner, user_id):
            yield table.__name__.lower(), _columns(row)
    async for prediction in _pages(database, Prediction, Prediction.owner_id, user_id):
        yield "prediction", _columns(prediction)
        async for media in _pages(database, PredictionMedia, PredictionMedia.prediction_id, prediction.id):
            yield "prediction_media", _columns(media)
    async for job in _pages(database, Job, Job.owner_id, user_id):
        yield "job", _columns(job)
        async for recording in _pages(database, JobMedia, JobMedia.job_id, job.id):
            yield "job_media", _columns(recording)


async def _pages(database: Database, table: Any, column: Any, value: UUID) -> AsyncIterator[Any]:
    key = inspect(table).primary_key[-1]  # the only column, or the one that counts chunks
    query = select(table).where(column == value).order_by(key).limit(_PAGE)
    page = await _page(database, query)
    while page:
        for row in page:
            yield row
        page = await _page(database, query.where(key > getattr(page[-1], key.name))) if len(page) == _PAGE else []


async def _page(database: Database, query: Any) -> list[Any]:
    async with database.read() as session:
        return list(await session.scalars(query))


def _columns(row: Base) -> dict[str, Any]:
    names = (column.key for column in inspect(type(row)).columns)
    return {name: getattr(row, name) for name in names if name not in _SECRETS}
