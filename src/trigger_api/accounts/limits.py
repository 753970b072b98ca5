"""Limits on how often: requests of a caller, and attempts to log in."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from limits import RateLimitItem
from limits import parse as parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from trigger_api.errors import RateLimited

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

_IPV6_SITE = 64  # bits of an address that one household shares
_LOG_IN = {
    "log-in-address": parse("100/15 minutes"),
    "log-in-name": parse("100/hour"),
    "log-in": parse("10/15 minutes"),
}
_SIGN_UP, _UNKNOWN = parse("20/hour"), parse("60/minute")
_REDIS_S = 1.0  # a request waits no longer for the counters
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Quota:
    """What a caller has left: the requests of a window, and the seconds until it has more."""

    limit: RateLimitItem
    allowed: bool
    remaining: int
    reset_s: float


class RateLimiter:
    """Counts in windows that slide: in this process's memory, or in Redis, which several processes share.

    While Redis is away nothing is limited: predictions do not depend on it.

    Args:
        url: ``memory://`` or ``redis://host:port``.
    """

    def __init__(self, url: str) -> None:
        self._pool = _redis_pool(url) if url != "memory://" else None
        options: dict[str, Any] = {"implementation": "redispy", "connection_pool": self._pool} if self._pool else {}
        storage = storage_from_string(f"async+{url}", wrap_exceptions=True, **options)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._paused_until = 0.0

    async def hit(self, limit: RateLimitItem, *key: str) -> Quota:
        """Count one request, if there is room for it."""
        with self._failing_open():
            allowed = await self._limiter.hit(limit, *key)
            stats = await self._limiter.get_window_stats(limit, *key)
            return Quota(limit, allowed, stats.remaining, max(0.0, stats.reset_time - time.time()))
        return Quota(limit, True, limit.amount, 0.0)

    async def clear(self, limit: RateLimitItem, *key: str) -> None:
        """Forget what was counted."""
        with self._failing_open():
            await self._limiter.clear(limit, *key)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()

    @contextmanager
    def _failing_open(self) -> Iterator[None]:
        """Log that the counters are away, at most once a second."""
        try:
            yield
        except StorageError as error:
            if time.monotonic() > self._paused_until:
                self._paused_until = time.monotonic() + 1
                cause = type(error.storage_error).__name__  # without its message, which may contain the URL
                _log.warning("nothing is limited: the counters are unavailable", error=cause)


def _redis_pool(url: str) -> ConnectionPool:
    from redis.asyncio import ConnectionPool  # needs an extra

    return ConnectionPool.from_url(url, socket_connect_timeout=_REDIS_S, socket_timeout=_REDIS_S)


class Throttle:
    """Limits attempts that anybody may make."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    async def log_in(self, *, name: str, address: str) -> None:
        """Count an attempt to log in.

        The limit that a guesser meets first is that of one name and one address together: whoever knows a name cannot
        lock its owner out from elsewhere with a few wrong passwords.

        Raises:
            RateLimited: there were too many.
        """
        site = household(address)
        keys = {"log-in-address": (site,), "log-in-name": (name,), "log-in": (name, site)}
        for policy, limit in _LOG_IN.items():
            await self._count(policy, limit, *keys[policy])

    async def logged_in(self, *, name: str, address: str) -> None:
        """Forget the attempts of somebody who knew the password."""
        await self._limiter.clear(_LOG_IN["log-in"], "log-in", name, household(address))

    async def sign_up(self, *, address: str) -> None:
        """Count a new account.

        Raises:
            RateLimited: there were too many.
        """
        await self._count("sign-up", _SIGN_UP, household(address))

    async def unknown_secret(self, *, address: str) -> None:
        """Count a token or cookie that looks like ours and is not: each costs a look into the database.

        Raises:
            RateLimited: there were too many.
        """
        await self._count("unknown-token", _UNKNOWN, household(address))

    async def _count(self, policy: str, limit: RateLimitItem, *key: str) -> None:
        quota = await self._limiter.hit(limit, policy, *key)
        if not quota.allowed:
            raise RateLimited("too many attempts; try again later", policy=policy, retry_after=quota.reset_s)


@dataclass
class Concurrency:
    """Counts the requests that a caller has open in this process."""

    most: int
    _open: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def slot(self, caller: str) -> Iterator[None]:
        """Count one for the duration of the block.

        Raises:
            RateLimited: the caller has as many as it may have.
        """
        if self._open.get(caller, 0) >= self.most:
            detail = f"you already have {self.most} requests open, the maximum"
            raise RateLimited(detail, policy="concurrency", retry_after=1)
        self._open[caller] = self._open.get(caller, 0) + 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]


def household(address: str) -> str:
    """What is counted of an address: all of IPv4's, and of IPv6's the part that one household shares."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))
