"""The real nginx with the configuration of ``deploy/nginx``, in front of nodes that are processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.service_process import free_port
from trigger_api.registry import BUNDLED

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx"
PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

needs_nginx = pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed")


class Node:
    """One process of the service, with the trigger model alone."""

    def __init__(self, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log = log
        self._environment = environment

    def start(self) -> None:
        trigger = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(BUNDLED / "trigger")}
        command = [sys.executable, "-m", "trigger_api", "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, env={**os.environ, **trigger, **self._environment}, stderr=log)

    def wait_until_ready(self) -> None:
        _wait(lambda: httpx.get(f"http://127.0.0.1:{self.port}/health/ready").status_code == 200, self._log)

    def kill(self) -> None:
        """End it at once, as a crash or a lack of memory would."""
        assert self.process
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


class Nginx:
    """A running nginx whose files all lie in a temporary folder.

    Args:
        folder: for its configuration, logs and temporary files.
        nodes: ports.
        extra: more for its server block.
        timeout_s: the seconds that slow clients have.
    """

    def __init__(self, folder: Path, nodes: Iterable[int], *, extra: str = "", timeout_s: int = 10) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(CONFIGURATION, folder, dirs_exist_ok=True)
        ours = folder / "trigger_api"
        _replace(folder / "nginx.conf", "/tmp/", f"{folder}/")  # noqa: S108 - where it writes otherwise
        _replace(ours / "server.conf", "_timeout 10s", f"_timeout {timeout_s}s")
        (ours / "nodes.conf").write_text("".join(f"server 127.0.0.1:{port} fail_timeout=1s;\n" for port in nodes))
        (ours / "listen.conf").write_text(
            f"listen 127.0.0.1:{self.port};\nlisten 127.0.0.1:{self.tls_port} ssl http2;\n"
            f"include trigger_api/tls.conf;\n{extra}"
        )
        make_certificate(ours)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        _wait(lambda: bool(httpx.get(f"{self.url}/metrics").status_code), self._log)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)

    def check(self) -> None:
        """Check the configuration without starting."""
        done = subprocess.run([*self._command(), "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def logged(self, request_id: str) -> dict[str, Any]:
        """What the access log has about a request, which may be a little late."""
        found: list[dict[str, Any]] = []

        def is_logged() -> bool:
            lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
            found[:] = [line for line in lines if line["id"] == request_id]
            return bool(found)

        _wait(is_logged, self._log, seconds=10)
        return found[0]

    def _command(self) -> list[str]:
        assert PROGRAM
        options = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")  # nobody may not enter the folder
        return [PROGRAM, "-p", str(self._folder), "-c", "nginx.conf", "-g", options]


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def make_certificate(folder: Path) -> None:
    """A certificate and its key, signed by itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *files, *name], check=True, capture_output=True)


def _wait(condition: Callable[[], bool], log: Path, seconds: float = 180) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"it did not happen: {log.read_text()[-2000:]}")
