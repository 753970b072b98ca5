"""API tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from trigger_api.accounts.caller import Scope
from trigger_api.accounts.credentials import Kind, digest, new_secret
from trigger_api.accounts.identities import Identities
from trigger_api.errors import Conflict, NotFound
from trigger_api.storage import tokens
from trigger_api.storage.database import Database
from trigger_api.storage.tables import Token

_MOST = 100


class Tokens:
    """The API tokens of all accounts."""

    def __init__(self, database: Database, identities: Identities) -> None:
        self._database = database
        self._identities = identities

    async def create(
        self, user_id: UUID, *, name: str, scopes: Iterable[Scope], expires_at: datetime | None
    ) -> tuple[str, Token]:
        """A new token: its secret, which nobody can look up later, and what is stored of it.

        Raises:
            Conflict: the account has as many as it may have.
        """
        secret = new_secret(Kind.TOKEN)
        async with self._database.write() as session:
            if await tokens.count(session, user_id=user_id) >= _MOST:
                raise Conflict(f"you have {_MOST} tokens, the maximum: revoke one")
            row = await tokens.add(
                session, user_id=user_id, name=name, secret_hash=digest(secret), scopes=" ".join(scopes),
                expires_at=expires_at,
            )  # fmt: skip
        return secret, row

    async def list(self, user_id: UUID) -> list[Token]:
        """The tokens of an account, the newest first."""
        async with self._database.read() as session:
            return await tokens.of_user(session, user_id=user_id)

    async def revoke(self, user_id: UUID, token_id: UUID) -> None:
        """Revoke a token.

        Raises:
            NotFound: the account has no such token.
        """
        async with self._database.write() as session:
            found = await tokens.remove(session, user_id=user_id, token_id=token_id)
        if not found:
            raise NotFound("you have no such token")
        self._identities.forget(user_id)
