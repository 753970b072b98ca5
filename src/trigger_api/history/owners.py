"""Which account owns what a caller keeps."""

from __future__ import annotations

from uuid import UUID

from trigger_api.accounts.caller import Caller
from trigger_api.history.choice import check_owner
from trigger_api.storage import users
from trigger_api.storage.database import Database


class Owners:
    """The accounts of callers: their own, or the one that a token of the settings or this machine has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, UUID] = {}

    async def find(self, caller: Caller) -> UUID:
        """The id of the account, which is made if need be.

        Raises:
            Unauthenticated: the caller is nobody in particular.
            StorageUnavailable: the database cannot be reached.
        """
        check_owner(caller)
        if caller.user_id is not None:
            return caller.user_id
        assert caller.owner is not None
        if caller.owner not in self._known:
            async with self._database.write() as session:
                self._known[caller.owner] = (await users.ensure(session, name=caller.owner)).id
        return self._known[caller.owner]

    def forget(self, caller: Caller) -> None:
        """Look the account up again: it has been deleted."""
        self._known.pop(caller.owner or "", None)
