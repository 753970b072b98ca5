"""Notice of a shutdown in time: servers wait for open responses before they run the lifespan's shutdown."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Run a callback on the event loop at SIGTERM or SIGINT, besides the handler that is already installed."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        previous = before[signal.Signals(number)]
        if callable(previous):
            previous(number, frame)

    for number, previous in before.items():
        if callable(previous):  # without a handler the signal ends the process at once, as it should
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, previous in before.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, previous)
