"""Ends what is open when the token or session that opened it is revoked or expires."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeVar

from starlette.requests import HTTPConnection

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Forbidden, RateLimited, StorageUnavailable
from trigger_api.server.auth import reauthenticate

T = TypeVar("T")
_LOOK_S = 2.0  # a look is free while the caller is remembered, which is for five seconds


async def revoked(connection: HTTPConnection, caller: Caller) -> None:
    """Wait until the caller's token or session has ended: for ever, if it is none of an account."""
    if caller.user_id is None:
        await asyncio.Event().wait()
    while await _is_valid(connection, caller):  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(_LOOK_S)


async def until_revoked(connection: HTTPConnection, caller: Caller, source: AsyncIterator[T]) -> AsyncIterator[T]:
    """What a source yields, until it ends or the caller's token or session does."""
    ended = asyncio.create_task(revoked(connection, caller))
    try:
        while True:
            following = asyncio.ensure_future(anext(source))
            try:
                await asyncio.wait({ended, following}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            if following.cancelled():
                return
            with suppress(StopAsyncIteration):
                yield following.result()
                continue
            return
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


async def _is_valid(connection: HTTPConnection, caller: Caller) -> bool:
    try:
        now = await reauthenticate(connection)
    except StorageUnavailable:  # it may be valid: whoever is known goes on while the database is away
        return True
    except (Forbidden, RateLimited):
        return False
    return now is not None and now.user_id == caller.user_id and caller.scopes <= now.scopes
