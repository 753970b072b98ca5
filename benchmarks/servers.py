"""Servers under test: started as processes of their own, awaited, and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE_S = 180


@contextmanager
def server(
    command: Sequence[str], probe: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; the block begins once the probe answers with anything but 503."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **(environment or {})},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(probe, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with suppress(ProcessLookupError):  # workers that outlived it
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(probe: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while not _answers(probe):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"no server at {probe}")
        time.sleep(0.5)


def _answers(probe: str) -> bool:
    try:
        with urllib.request.urlopen(probe, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code != 503
    except OSError:
        return False
