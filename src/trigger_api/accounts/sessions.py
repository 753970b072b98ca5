"""Logging in and out."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from trigger_api.accounts.credentials import Kind, digest, new_secret
from trigger_api.accounts.identities import Identities
from trigger_api.accounts.limits import Throttle
from trigger_api.accounts.passwords import Passwords
from trigger_api.errors import NotFound, Unauthenticated
from trigger_api.storage import sessions, users
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Session, now

_MOST = 50  # sessions of an account; with more, the oldest end
_WRONG = "the name or the password is wrong"


class Sessions:
    """The sessions of all accounts.

    Args:
        database: holds them.
        passwords: verifies passwords.
        throttle: limits attempts.
        identities: forgets what has ended.
        lifetime: a session ends after so long.
        idle: and if it has not been used for so long.
    """

    def __init__(
        self, database: Database, passwords: Passwords, throttle: Throttle, identities: Identities, *,
        lifetime: timedelta, idle: timedelta,
    ) -> None:  # fmt: skip
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._identities = identities
        self.lifetime = lifetime
        self._idle = idle

    async def log_in(
        self, *, name: str, password: str, address: str, user_agent: str, replaces: UUID | None = None
    ) -> tuple[str, Session]:
        """A new session and its secret.

        Whoever asks learns in the same time and words that there is no such account and that its password is another.

        Args:
            name: of the account.
            password: of the account.
            address: the client's, for the throttle and the list of sessions.
            user_agent: for the list of sessions.
            replaces: the session that the client had; it ends.

        Raises:
            Unauthenticated: the name or the password is wrong.
            RateLimited: there were too many attempts.
        """
        await self._throttle.log_in(name=name, address=address)
        async with self._database.read() as session:
            user = await users.find(session, name=name)
        if not await self._passwords.verify(password, user.password_hash if user else None) or user is None:
            raise Unauthenticated(_WRONG)
        await self._throttle.logged_in(name=name, address=address)
        return await self._open(user.id, address, user_agent, replaces)

    async def list(self, user_id: UUID) -> list[Session]:
        """The sessions of an account that have not ended, the newest first."""
        async with self._database.read() as session:
            rows = await sessions.of_user(session, user_id=user_id)
        at = now()
        return [row for row in rows if row.expires_at > at and row.seen_at + self._idle > at]

    async def end(self, user_id: UUID, session_id: UUID) -> None:
        """End one session.

        Raises:
            NotFound: the account has no such session.
        """
        async with self._database.write() as session:
            found = await sessions.remove(session, user_id=user_id, session_id=session_id)
        if not found:
            raise NotFound("you have no such session")
        self._identities.forget(user_id)

    async def end_others(self, user_id: UUID, session_id: UUID | None) -> None:
        """End all sessions of an account but one."""
        async with self._database.write() as session:
            await sessions.remove_all(session, user_id=user_id, except_id=session_id)
        self._identities.forget(user_id)

    async def _open(self, user_id: UUID, address: str, user_agent: str, replaces: UUID | None) -> tuple[str, Session]:
        secret, at = new_secret(Kind.SESSION), now()
        async with self._database.write() as session:
            await sessions.prune(session, at=at, seen_before=at - self._idle)
            rows = await sessions.of_user(session, user_id=user_id)
            for row in [row for place, row in enumerate(rows) if row.id == replaces or place >= _MOST - 1]:
                await sessions.remove(session, user_id=user_id, session_id=row.id)
            opened = await sessions.add(
                session, user_id=user_id, secret_hash=digest(secret), expires_at=at + self.lifetime,
                user_agent=user_agent, address=address,
            )  # fmt: skip
        self._identities.forget(user_id)
        return secret, opened
