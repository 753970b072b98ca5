"""The package sounddevice, as far as it is used here, without a sound card."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


class PortAudioError(Exception):
    """What the package raises when PortAudio reports an error."""


def install(
    monkeypatch: pytest.MonkeyPatch, audio: bytes = b"", *, no_device: str = "", fails: str = ""
) -> list[dict[str, Any]]:
    """Put the fake in place of the package.

    Args:
        monkeypatch: takes it away again.
        audio: what is recorded; after it, the microphone gives nothing.
        no_device: the error of a machine without an input device.
        fails: the error when the stream is opened.

    Returns:
        The options of every stream that is opened, filled in as that happens.
    """
    opened: list[dict[str, Any]] = []

    class RawInputStream:
        def __init__(self, *, callback: Callable[..., None], blocksize: int, **options: Any) -> None:
            if fails:
                raise PortAudioError(fails)
            opened.append(options)
            for start in range(0, len(audio), 2 * blocksize):
                callback(audio[start : start + 2 * blocksize], blocksize, None, None)

        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            pass

    def check_input_settings(**options: Any) -> None:
        if no_device:
            raise PortAudioError(no_device)

    module = ModuleType("sounddevice")
    for member in (PortAudioError, RawInputStream, check_input_settings):
        setattr(module, member.__name__, member)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return opened
