"""The service as a process of its own, as a user starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_PATIENCE_S = 180  # TensorFlow takes its time on a busy machine


@contextmanager
def service_process(*arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of ``trigger-api ARGUMENTS`` once it is ready; at the end it is told to stop."""
    port = free_port()
    command = [sys.executable, "-m", "trigger_api", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, "TRIGGER_API_LOG_LEVEL": "error", **(env or {})})
    url = f"http://127.0.0.1:{port}"
    try:
        await_ready(process, url)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def free_port() -> int:
    """A free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait until a process answers that it is ready."""
    give_up = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the service did not become ready")
