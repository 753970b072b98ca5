"""Bytes on their way from one thread to another."""

from __future__ import annotations

import threading
from collections.abc import Callable

from trigger_api.errors import Overloaded


class Pipe:
    """What is written on one thread is read on another, which waits for it.

    Args:
        limit: bytes that may wait.
        on_empty: called by the thread that reads, before it waits.
    """

    def __init__(self, limit: int, on_empty: Callable[[], None]) -> None:
        self._limit = limit
        self._on_empty = on_empty
        self._data = bytearray()
        self._changed = threading.Condition()
        self._closed = False

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            Overloaded: too many are waiting.
        """
        with self._changed:
            if len(self._data) + len(data) > self._limit:
                raise Overloaded(f"the server is more than {self._limit} bytes behind")
            self._data += data
            self._changed.notify()

    def close(self, *, drop: bool = False) -> None:
        """Nothing will be written any more. ``drop``: what is waiting need not be read, either."""
        with self._changed:
            self._closed = True
            if drop:
                self._data.clear()
            self._changed.notify()

    @property
    def ended(self) -> bool:
        """Whether it is closed, and everything was read."""
        return self._closed and not self._data

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        if not self._data and not self._closed:
            self._on_empty()
        with self._changed:
            self._changed.wait_for(lambda: self._data or self._closed)
            data = bytes(self._data[:size])
            del self._data[:size]
        return data
