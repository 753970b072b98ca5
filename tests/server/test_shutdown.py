from __future__ import annotations

import asyncio
import os
import signal

from trigger_api.server.shutdown import on_termination


async def test_the_callback_runs_besides_the_previous_handler() -> None:
    before: list[int] = []
    notified = asyncio.Event()
    old = signal.signal(signal.SIGTERM, lambda number, frame: before.append(number))
    try:
        with on_termination(notified.set):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(notified.wait(), 5)
        assert before == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
        assert before == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, old)


async def test_a_signal_without_a_handler_is_left_alone() -> None:
    old = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with on_termination(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, old)


async def test_only_the_main_thread_handles_signals() -> None:
    async def within() -> None:
        with on_termination(lambda: None):
            pass

    await asyncio.to_thread(asyncio.run, within())
