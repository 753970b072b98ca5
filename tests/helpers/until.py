"""Waiting for a condition, and not for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; a machine under load takes longer, and nothing fails for that."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def let_others_run(rounds: int = 10) -> None:
    """Give every task of the event loop its turns, until those that can go no further wait."""
    for _ in range(rounds):
        await asyncio.sleep(0)
