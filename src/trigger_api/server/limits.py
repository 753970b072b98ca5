"""The limits of a caller, and middleware that applies them: requests in a time, and requests at once.

Answers carry the headers of draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trigger_api.accounts.caller import Caller
from trigger_api.accounts.limits import Concurrency, Quota, RateLimiter, parse
from trigger_api.errors import RateLimited
from trigger_api.server.auth import PUBLIC_PATHS
from trigger_api.server.problems import error_response, id_of
from trigger_api.settings import Settings

_REQUESTS, _CONCURRENCY = "requests", "concurrency"


class Allowance:
    """What a caller may send to this server, over whichever protocol."""

    def __init__(self, settings: Settings, limiter: RateLimiter) -> None:
        self._rate = parse(settings.rate_limit) if settings.rate_limit else None
        self._limiter = limiter
        self._concurrency = Concurrency(most) if (most := settings.max_requests_per_caller) else None
        self._policy = self._format_policy()

    async def hit(self, caller: Caller) -> Quota | None:
        """Count a request; what the caller has left, if requests are limited."""
        return await self._limiter.hit(self._rate, _REQUESTS, caller.name) if self._rate else None

    def slot(self, caller: Caller) -> AbstractContextManager[None]:
        """Count a request as open for the duration of the block.

        Raises:
            RateLimited: the caller has as many as it may have.
        """
        return self._concurrency.slot(caller.name) if self._concurrency else nullcontext()

    @staticmethod
    def check(quota: Quota | None) -> None:
        """Check that a request was allowed.

        Raises:
            RateLimited: it was not.
        """
        if quota and not quota.allowed:
            amount, seconds = quota.limit.amount, quota.limit.get_expiry()
            detail = f"you may send {amount} requests in {seconds} seconds"
            raise RateLimited(detail, policy=_REQUESTS, retry_after=quota.reset_s)

    def headers(self, quota: Quota | None) -> list[tuple[bytes, bytes]]:
        """What the answer says about the limits."""
        left = f'"{_REQUESTS}";r={quota.remaining};t={math.ceil(quota.reset_s)}'.encode() if quota else b""
        return [(b"ratelimit-policy", self._policy), *([(b"ratelimit", left)] if left else [])]

    def _format_policy(self) -> bytes:
        policies = []
        if self._rate:
            policies.append(f'"{_REQUESTS}";q={self._rate.amount};w={self._rate.get_expiry()}')
        if self._concurrency:
            policies.append(f'"{_CONCURRENCY}";q={self._concurrency.most};qu="concurrent-requests"')
        return ", ".join(policies).encode()


class CallerLimits:
    """Rejects the requests of callers who have sent too many, before their bodies are read."""

    def __init__(self, app: ASGIApp, allowance: Allowance) -> None:
        self._app = app
        self._allowance = allowance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        caller: Caller | None = scope.get("state", {}).get("caller")
        if scope["type"] != "http" or caller is None or scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return
        quota = await self._allowance.hit(caller)
        headed = _headed(send, self._allowance.headers(quota))
        try:
            self._allowance.check(quota)
            with self._allowance.slot(caller):
                await self._app(scope, receive, headed)
        except RateLimited as error:
            await error_response(error, id_of(scope))(scope, receive, headed)


def _headed(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_with_headers
