"""Notice of a shutdown in time: servers wait for open responses before they run the lifespan's shutdown."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Run a callback on the event loop at SIGTERM or SIGINT, besides the handler that is already installed."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield
        return
    notify = partial(asyncio.get_running_loop().call_soon_threadsafe, callback)
    with ExitStack() as stack:
        for number in _SIGNALS:
            stack.enter_context(_handled(number, notify))
        yield


@contextmanager
def _handled(number: signal.Signals, notify: Callable[[], object]) -> Iterator[None]:
    previous = signal.getsignal(number)
    if not callable(previous):  # without a handler the signal ends the process at once, as it should
        yield
        return

    def on_signal(received: int, frame: FrameType | None) -> None:
        notify()
        previous(received, frame)

    signal.signal(number, on_signal)
    try:
        yield
    finally:
        if signal.getsignal(number) is on_signal:
            signal.signal(number, previous)
