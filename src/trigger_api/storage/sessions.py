"""Browsers that are logged in, and permissions to set a new password."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.storage.tables import PasswordReset, Session, User


async def add(
    session: AsyncSession, *, user_id: UUID, secret_hash: bytes, expires_at: datetime, user_agent: str, address: str
) -> Session:
    """A new session."""
    row = Session(
        user_id=user_id, secret_hash=secret_hash, expires_at=expires_at, user_agent=user_agent, address=address
    )
    session.add(row)
    await session.flush()
    return row


async def find(session: AsyncSession, *, secret_hash: bytes) -> tuple[Session, User] | None:
    """A session and its account. Whether it has expired is for the caller to judge."""
    query = select(Session, User).join(User, User.id == Session.user_id).where(Session.secret_hash == secret_hash)
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def of_user(session: AsyncSession, *, user_id: UUID) -> list[Session]:
    """The sessions of an account, the newest first."""
    query = select(Session).where(Session.user_id == user_id).order_by(Session.id.desc())
    return list(await session.scalars(query))


async def touch(session: AsyncSession, *, session_id: UUID, at: datetime) -> None:
    """Note that a session was used."""
    await session.execute(update(Session).where(Session.id == session_id).values(seen_at=at))


async def remove(session: AsyncSession, *, user_id: UUID, session_id: UUID) -> bool:
    """End one session of an account; False if it has no such session."""
    query = delete(Session).where(Session.id == session_id, Session.user_id == user_id)
    result = await session.execute(query)
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


async def remove_all(session: AsyncSession, *, user_id: UUID, except_id: UUID | None = None) -> None:
    """End all sessions of an account, or all but one."""
    query = delete(Session).where(Session.user_id == user_id)
    await session.execute(query if except_id is None else query.where(Session.id != except_id))


async def prune(session: AsyncSession, *, at: datetime, seen_before: datetime) -> None:
    """Delete what has expired."""
    await session.execute(delete(Session).where(or_(Session.expires_at < at, Session.seen_at < seen_before)))
    await session.execute(delete(PasswordReset).where(PasswordReset.expires_at < at))


async def add_reset(session: AsyncSession, *, user_id: UUID, secret_hash: bytes, expires_at: datetime) -> None:
    """Permit an account to set a new password once; earlier permissions end."""
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
    session.add(PasswordReset(user_id=user_id, secret_hash=secret_hash, expires_at=expires_at))


async def use_reset(session: AsyncSession, *, secret_hash: bytes, at: datetime) -> UUID | None:
    """Use a permission up, and return whose it was; None if there is none or it has expired."""
    query = delete(PasswordReset).where(PasswordReset.secret_hash == secret_hash).returning(
        PasswordReset.user_id, PasswordReset.expires_at
    )  # fmt: skip
    row = (await session.execute(query)).one_or_none()
    return row[0] if row and row[1] > at else None
