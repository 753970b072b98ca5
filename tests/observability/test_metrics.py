from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = """
import os, signal
from trigger_api.observability.metrics import Metrics
metrics = Metrics()
metrics.in_flight.inc(7)
metrics.requests.labels("GET", "/x", "200").inc()
if {killed}:
    os.kill(os.getpid(), signal.SIGKILL)
print(metrics.render().decode())
metrics.close()
"""


def run(folder: Path, *, killed: bool) -> str:
    """A worker that counts; its output, if it lives to print any."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", WORKER.format(killed=killed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=not killed).stdout


def test_workers_count_together_and_the_dead_do_nothing_more(tmp_path: Path) -> None:
    run(tmp_path, killed=True)
    text = run(tmp_path, killed=False)
    assert "trigger_api_requests_in_flight 7.0" in text
    assert 'trigger_api_requests_total{method="GET",route="/x",status="200"} 2.0' in text
    assert not list(tmp_path.glob("gauge_live*.db"))


def test_one_process_needs_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    from trigger_api.observability.metrics import Metrics

    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics = Metrics()
    metrics.in_flight.inc()
    assert b"trigger_api_requests_in_flight 1.0" in metrics.render()
    metrics.close()
