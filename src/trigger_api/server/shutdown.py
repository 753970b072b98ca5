"""Hearing of the end in time: servers wait for open answers before they tell the application to shut down."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ENDINGS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Call back on the event loop when the process is told to end; whoever handled that before still does."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's alone
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _ENDINGS}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        previous = before[signal.Signals(number)]
        if callable(previous):
            previous(number, frame)

    for number, previous in before.items():
        if callable(previous):  # nobody handles it: then it ends the process at once, and should
            signal.signal(number, told)
    try:
        yield
    finally:
        for number, previous in before.items():
            if signal.getsignal(number) is told:
                signal.signal(number, previous)
