"""API tokens."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.storage.tables import Token, User


async def add(
    session: AsyncSession, *, user_id: UUID, name: str, secret_hash: bytes, scopes: str, expires_at: datetime | None
) -> Token:
    """A new token."""
    row = Token(user_id=user_id, name=name, secret_hash=secret_hash, scopes=scopes, expires_at=expires_at)
    session.add(row)
    await session.flush()
    return row


async def find(session: AsyncSession, *, secret_hash: bytes) -> tuple[Token, User] | None:
    """A token and its account. Whether it has expired is for the caller to judge."""
    query = select(Token, User).join(User, User.id == Token.user_id).where(Token.secret_hash == secret_hash)
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None


async def of_user(session: AsyncSession, *, user_id: UUID) -> list[Token]:
    """The tokens of an account, the newest first."""
    return list(await session.scalars(select(Token).where(Token.user_id == user_id).order_by(Token.id.desc())))


async def count(session: AsyncSession, *, user_id: UUID) -> int:
    """The number of an account's tokens."""
    return int(await session.scalar(select(func.count()).select_from(Token).where(Token.user_id == user_id)) or 0)


async def touch(session: AsyncSession, *, token_id: UUID, at: datetime) -> None:
    """Note that a token was used."""
    await session.execute(update(Token).where(Token.id == token_id).values(used_at=at))


async def remove(session: AsyncSession, *, user_id: UUID, token_id: UUID) -> bool:
    """Revoke one token of an account; False if it has no such token."""
    result = await session.execute(delete(Token).where(Token.id == token_id, Token.user_id == user_id))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
