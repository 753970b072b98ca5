"""Accounts: made, changed, exported and deleted."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from trigger_api.accounts.caller import Caller
from trigger_api.accounts.credentials import Kind, digest, is_secret, new_secret
from trigger_api.accounts.identities import Identities
from trigger_api.accounts.passwords import Passwords
from trigger_api.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unprocessable
from trigger_api.storage import sessions, users
from trigger_api.storage.database import Database
from trigger_api.storage.tables import User, now

_RESET_TIME = timedelta(hours=24)


class Users:
    """The accounts of a database."""

    def __init__(self, database: Database, passwords: Passwords, identities: Identities) -> None:
        self._database = database
        self._passwords = passwords
        self._identities = identities
        self._owners: dict[str, UUID] = {}  # as many as the settings have tokens

    async def create(self, *, name: str, password: str, is_admin: bool = False) -> User:
        """Make an account.

        Raises:
            Conflict: the name is taken.
        """
        password_hash = await self._passwords.hash(password)
        async with self._database.write() as session:
            user = await users.add(session, name=name, password_hash=password_hash, is_admin=is_admin)
        if user is None:
            raise Conflict("there is an account of this name already")
        return user

    async def get(self, user_id: UUID) -> User:
        """An account.

        Raises:
            Unauthenticated: it has been deleted.
        """
        async with self._database.read() as session:
            user = await users.get(session, user_id=user_id)
        if user is None:
            raise Unauthenticated("this account has been deleted")
        return user

    async def owner_id(self, caller: Caller) -> UUID | None:
        """The account that owns what a caller keeps; None for a caller who keeps nothing."""
        if caller.user_id is not None or caller.owner is None:
            return caller.user_id
        if caller.owner not in self._owners:
            async with self._database.write() as session:
                self._owners[caller.owner] = (await users.ensure(session, name=caller.owner)).id
        return self._owners[caller.owner]

    async def find(self, name: str) -> User:
        """The account of a name.

        Raises:
            NotFound: there is none.
        """
        async with self._database.read() as session:
            user = await users.find(session, name=name)
        if user is None:
            raise NotFound("there is no account of this name")
        return user

    async def set_keeps_history(self, user_id: UUID, *, value: bool) -> User:
        """Choose whether predictions are kept without being asked to for each."""
        async with self._database.write() as session:
            await users.set_keeps_history(session, user_id=user_id, value=value)
        self._identities.forget(user_id)
        return await self.get(user_id)

    async def change_password(self, user_id: UUID, *, old: str, new: str, session_id: UUID | None) -> None:
        """Replace a password, and end all other sessions.

        Raises:
            Forbidden: the old password is wrong.
        """
        await self.check_password(user_id, old)
        password_hash = await self._passwords.hash(new)
        async with self._database.write() as session:
            await users.set_password(session, user_id=user_id, password_hash=password_hash)
            await sessions.remove_all(session, user_id=user_id, except_id=session_id)
        self._identities.forget(user_id)

    async def check_password(self, user_id: UUID, password: str) -> None:
        """Confirm who is asking.

        Raises:
            Forbidden: the password is wrong.
        """
        user = await self.get(user_id)
        if not await self._passwords.verify(password, user.password_hash):
            raise Forbidden("the password is wrong")

    async def permit_reset(self, name: str) -> str:
        """A secret with which the owner of an account may set a new password, once, within a day.

        Raises:
            NotFound: there is no such account.
        """
        user, secret = await self.find(name), new_secret(Kind.RESET)
        async with self._database.write() as session:
            await sessions.add_reset(
                session, user_id=user.id, secret_hash=digest(secret), expires_at=now() + _RESET_TIME
            )
        return secret

    async def reset_password(self, *, secret: str, password: str) -> None:
        """Set a new password with such a secret, and end all sessions.

        Raises:
            Unprocessable: the secret is unknown, used or expired.
        """
        if not is_secret(secret, Kind.RESET):
            raise _unknown_reset()
        password_hash = await self._passwords.hash(password)
        async with self._database.write() as session:
            user_id = await sessions.use_reset(session, secret_hash=digest(secret), at=now())
            if user_id is not None:
                await users.set_password(session, user_id=user_id, password_hash=password_hash)
                await sessions.remove_all(session, user_id=user_id)
        if user_id is None:
            raise _unknown_reset()
        self._identities.forget(user_id)

    async def list(self) -> list[User]:
        """All accounts, in the order of their names."""
        found: list[User] = []
        async with self._database.read() as session:
            while page := await users.page(session, after=found[-1].name if found else ""):
                found += page
        return found

    async def delete_named(self, name: str) -> None:
        """Delete the account of a name.

        Raises:
            NotFound: there is none.
        """
        await self.delete((await self.find(name)).id)

    async def delete(self, user_id: UUID) -> None:
        """Delete an account with everything that it owns."""
        async with self._database.write() as session:
            await users.remove(session, user_id=user_id)
        self._owners = {name: owner for name, owner in self._owners.items() if owner != user_id}
        self._identities.forget(user_id)


def _unknown_reset() -> Unprocessable:
    return Unprocessable("this secret is unknown, has been used, or has expired: ask for a new one")
