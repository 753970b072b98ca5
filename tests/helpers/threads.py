"""Where work runs: on the event loop's thread, or beside it."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import pytest


def note_threads(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[str]:
    """The names of the threads that a module's function is called on from now on, without their numbers."""
    work, threads = getattr(module, name), list[str]()

    def noted(*arguments: Any) -> Any:
        threads.append(threading.current_thread().name.partition("_")[0])
        return work(*arguments)

    monkeypatch.setattr(module, name, noted)
    return threads
