"""Accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Result, Update, case, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.errors import QuotaExceeded
from trigger_api.storage.tables import User


async def add(
    session: AsyncSession, *, name: str, password_hash: str | None = None, is_admin: bool = False
) -> User | None:
    """A new account; None if the name is taken."""
    user = User(name=name, password_hash=password_hash, is_admin=is_admin)
    try:
        async with session.begin_nested():
            session.add(user)
    except IntegrityError:
        return None
    return user


async def get(session: AsyncSession, *, user_id: UUID) -> User | None:
    """An account by its id."""
    return await session.get(User, user_id)


async def find(session: AsyncSession, *, name: str) -> User | None:
    """An account by its name, in lower case."""
    return (await session.scalars(select(User).where(User.name == name))).one_or_none()


async def ensure(session: AsyncSession, *, name: str) -> User:
    """The account of a caller that cannot log in, such as a token of the settings; made when it is first needed."""
    found = await find(session, name=name) or await add(session, name=name) or await find(session, name=name)
    assert found is not None
    return found


async def page(session: AsyncSession, *, after: str = "", limit: int = 100) -> list[User]:
    """Accounts in the order of their names."""
    query = select(User).where(User.name > after).order_by(User.name).limit(limit)
    return list(await session.scalars(query))


async def set_password(session: AsyncSession, *, user_id: UUID, password_hash: str) -> None:
    """Replace a password."""
    await session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


async def set_keeps_history(session: AsyncSession, *, user_id: UUID, value: bool) -> None:
    """Choose whether predictions are kept without being asked to for each."""
    await session.execute(update(User).where(User.id == user_id).values(keeps_history=value))


async def remove(session: AsyncSession, *, user_id: UUID) -> bool:
    """Delete an account and everything that it owns; False if there is none."""
    result = await session.execute(delete(User).where(User.id == user_id))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


async def reserve_bytes(session: AsyncSession, *, user_id: UUID, size: int, quota: int | None) -> None:
    """Count bytes that the account is about to hold; in the transaction that stores them.

    Raises:
        QuotaExceeded: they would be too many; nothing is counted.
    """
    check_reservation(await session.execute(reservation(user_id, size, quota)), quota)


def reservation(user_id: UUID, size: int, quota: int | None) -> Update:
    """The statement of ``reserve_bytes``."""
    held = User.stored_bytes + size
    query = update(User).where(User.id == user_id).values(stored_bytes=held)
    return query if quota is None else query.where(held <= quota)


def check_reservation(result: Result[Any], quota: int | None) -> None:
    """Check what that statement has done.

    Raises:
        QuotaExceeded: nothing: it would have been too much.
    """
    assert isinstance(result, CursorResult)
    if result.rowcount != 1:
        raise QuotaExceeded(f"your history may hold {quota} bytes: delete some of it to save more")


async def release_bytes(session: AsyncSession, *, user_id: UUID, size: int) -> None:
    """Count bytes that the account no longer holds; in the transaction that deletes them."""
    left = case((User.stored_bytes > size, User.stored_bytes - size), else_=0)
    await session.execute(update(User).where(User.id == user_id).values(stored_bytes=left))


async def count(session: AsyncSession) -> int:
    """The number of accounts that somebody can log in to."""
    query = select(func.count()).select_from(User).where(User.password_hash.is_not(None))
    return int(await session.scalar(query) or 0)
