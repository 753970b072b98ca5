"""The history: past predictions, their labels and their media."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Insert, Select, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from trigger_api.storage import users
from trigger_api.storage.tables import MEDIA_CHUNK, Prediction, PredictionLabel, PredictionMedia, first_id

Row = dict[str, Any]


@dataclass(frozen=True)
class Filters:
    """What a page of the history is about. Without any of them, it is about everything.

    Attributes:
        task: the name of a task.
        label: a word, number, emotion, class or type that was found.
        file_name: the name of the file, in full.
        since: predictions from then on.
        until: predictions before then.
    """

    task: str | None = None
    label: str | None = None
    file_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def add_all(session: AsyncSession, *, rows: Sequence[Row], labels: Sequence[Row], media: Sequence[Row]) -> None:
    """New predictions, what they found, and the chunks of what they were made of."""
    for statement, values in _inserts(rows, labels, media):
        await session.execute(statement, values)


def write_all(
    connection: Connection, *, sizes: Mapping[UUID, int], quota: int | None, rows: Sequence[Row],
    labels: Sequence[Row], media: Sequence[Row],
) -> None:  # fmt: skip
    """As ``add_all``, and counted against the quotas of the accounts, for ``Database.write_in_thread``.

    Args:
        connection: of the transaction.
        sizes: bytes by account.
        quota: bytes that an account may hold.
        rows: the predictions.
        labels: what they found.
        media: what they were made of.

    Raises:
        QuotaExceeded: an account would hold too much.
    """
    for owner_id, size in sorted(sizes.items()):  # in one order, so that servers do not wait for each other
        users.check_reservation(connection.execute(users.reservation(owner_id, size, quota)), quota)
    for statement, values in _inserts(rows, labels, media):
        connection.execute(statement, values)


def _inserts(
    rows: Sequence[Row], labels: Sequence[Row], media: Sequence[Row]
) -> Iterator[tuple[Insert, Sequence[Row]]]:
    for table, values in ((Prediction, rows), (PredictionLabel, labels), (PredictionMedia, media)):
        if values:
            yield insert(table), values


async def page(
    session: AsyncSession, *, owner_id: UUID, filters: Filters, before: UUID | None = None, limit: int = 50
) -> list[Prediction]:
    """Predictions of an account without their answers, the newest first; those before one of them, if given."""
    query = _rows(_newest(_ids(owner_id, filters, before), limit))
    return list(await session.scalars(query.options(defer(Prediction.answer, raiseload=True))))


async def whole_page(
    session: AsyncSession, *, owner_id: UUID, filters: Filters, before: UUID | None, limit: int
) -> list[Prediction]:
    """The same with their answers."""
    return list(await session.scalars(_rows(_newest(_ids(owner_id, filters, before), limit))))


async def get(session: AsyncSession, *, owner_id: UUID, prediction_id: UUID) -> Prediction | None:
    """A prediction of an account."""
    query = select(Prediction).where(Prediction.id == prediction_id, Prediction.owner_id == owner_id)
    return (await session.scalars(query)).one_or_none()


async def labels_of(session: AsyncSession, *, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """The labels of predictions, in the order of the alphabet."""
    query = select(PredictionLabel.prediction_id, PredictionLabel.label).where(PredictionLabel.prediction_id.in_(ids))
    found: dict[UUID, list[str]] = {each: [] for each in ids}
    for prediction_id, label in await session.execute(query.order_by(PredictionLabel.label)):
        found[prediction_id].append(label)
    return found


async def media_chunk(session: AsyncSession, *, prediction_id: UUID, number: int) -> bytes | None:
    """A chunk of a prediction's media; None if there are fewer."""
    query = select(PredictionMedia.content).where(
        PredictionMedia.prediction_id == prediction_id, PredictionMedia.number == number
    )
    return await session.scalar(query)


async def remove(session: AsyncSession, *, owner_id: UUID, ids: Select[UUID] | Iterable[UUID]) -> int:
    """Delete predictions of an account with everything that belongs to them; returns how many there were."""
    query = (
        delete(Prediction)
        .where(Prediction.owner_id == owner_id, Prediction.id.in_(ids))
        .returning(Prediction.media_bytes + Prediction.answer_bytes)
        .execution_options(synchronize_session=False)
    )
    sizes = list(await session.scalars(query))
    if sizes:
        await users.release_bytes(session, user_id=owner_id, size=sum(sizes))
    return len(sizes)


async def remove_some(session: AsyncSession, *, owner_id: UUID, filters: Filters, limit: int) -> int:
    """Delete the newest predictions that match; returns how many there were, which is ``limit`` at most."""
    return await remove(session, owner_id=owner_id, ids=_newest(_ids(owner_id, filters, None), limit))


async def remove_surplus(session: AsyncSession, *, owner_id: UUID, most: int, limit: int) -> int:
    """Delete up to ``limit`` of an account's oldest predictions if it has more than ``most``; returns how many."""
    query = select(Prediction.id).where(Prediction.owner_id == owner_id).order_by(Prediction.id.desc()).offset(most)
    return await remove(session, owner_id=owner_id, ids=query.limit(limit))


async def remove_older(session: AsyncSession, *, owner_id: UUID, than: datetime, limit: int) -> int:
    """Delete up to ``limit`` of an account's predictions that are older; returns how many."""
    return await remove_some(session, owner_id=owner_id, filters=Filters(until=than), limit=limit)


def chunks(content: bytes | memoryview) -> list[bytes]:
    """What the rows of some media hold."""
    return [bytes(content[start : start + MEDIA_CHUNK]) for start in range(0, len(content), MEDIA_CHUNK)]


def _ids(owner_id: UUID, filters: Filters, before: UUID | None) -> Select[UUID]:
    """The ids of what matches, in whichever table an index has them in their order."""
    if filters.label is not None:
        query = select(PredictionLabel.prediction_id).where(
            PredictionLabel.owner_id == owner_id, PredictionLabel.label == filters.label
        )
        if filters.file_name is not None:
            query = query.join(Prediction, Prediction.id == PredictionLabel.prediction_id)
    else:
        query = select(Prediction.id).where(Prediction.owner_id == owner_id)
    (key,) = query.selected_columns
    task = Prediction.task if filters.label is None else PredictionLabel.task
    for column, value in ((task, filters.task), (Prediction.file_name, filters.file_name)):
        query = query if value is None else query.where(column == value)
    bounds = (key < before if before else None, key >= first_id(filters.since) if filters.since else None)
    until = key < first_id(filters.until) if filters.until else None
    return query.where(*(bound for bound in (*bounds, until) if bound is not None))


def _rows(ids: Select[UUID]) -> Select[Prediction]:
    return select(Prediction).where(Prediction.id.in_(ids)).order_by(Prediction.id.desc())


def _newest(query: Select[UUID], limit: int) -> Select[UUID]:
    (key,) = query.selected_columns
    return query.order_by(key.desc()).limit(limit)
