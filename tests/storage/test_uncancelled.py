from __future__ import annotations

import asyncio

import pytest

from trigger_api.storage.uncancelled import Uncancelled


async def test_work_goes_on() -> None:
    uncancelled, may_end, done = Uncancelled(), asyncio.Event(), list[int]()

    async def work() -> int:
        await may_end.wait()
        done.append(1)
        return 1

    task = asyncio.create_task(uncancelled.run(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()
    await uncancelled.finish()
    assert done == [1]
    assert await uncancelled.run(work()) == 1
