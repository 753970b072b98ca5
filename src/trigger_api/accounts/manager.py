"""Everything about accounts, behind one object."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from trigger_api.accounts.caller import Caller
from trigger_api.accounts.credentials import is_ours
from trigger_api.accounts.export import export
from trigger_api.accounts.identities import Identities
from trigger_api.accounts.limits import RateLimiter, Throttle
from trigger_api.accounts.passwords import Passwords
from trigger_api.accounts.sessions import Sessions
from trigger_api.accounts.tokens import Tokens
from trigger_api.accounts.users import Users
from trigger_api.settings import Settings
from trigger_api.storage.database import Database


class Accounts:
    """Users, their sessions and their API tokens.

    Args:
        database: holds all of them.
        settings: how long sessions last, and where attempts to log in are counted.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        lifetime, idle = timedelta(days=settings.session_days), timedelta(days=settings.session_idle_days)
        self._database = database
        self._passwords = Passwords()
        self._identities = Identities(database, idle)
        self._limiter = RateLimiter(settings.rate_limit_url.get_secret_value())
        self.throttle = Throttle(self._limiter)
        self.users = Users(database, self._passwords, self._identities)
        self.tokens = Tokens(database, self._identities)
        self.sessions = Sessions(
            database, self._passwords, self.throttle, self._identities, lifetime=lifetime, idle=idle
        )

    async def find_caller(self, secret: str, *, address: str) -> Caller | None:
        """The caller with a session's secret or an API token; None if it is neither.

        Raises:
            StorageUnavailable: the database cannot be reached, and the caller has not been here lately.
            RateLimited: this address has sent too many secrets that are not known.
        """
        found = await self._identities.find(secret)
        if found is None and is_ours(secret):
            await self.throttle.unknown_secret(address=address)
        return found

    def export(self, caller: Caller) -> AsyncIterator[bytes]:
        """Everything that is stored about a caller's account, as JSON lines."""
        assert caller.user_id is not None
        return export(self._database, caller.user_id)

    async def close(self) -> None:
        """Write what is left to write, and stop."""
        await self._identities.close()
        await self._limiter.close()
        self._passwords.close()
