"""From the command to the first answer: how long one worker with every bundled model takes to be ready, and its memory.

    python benchmarks/start.py

Interleaved rounds, on ONNX Runtime as by default, and on TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import results
from rooms import resident_mib
from servers import free_port

TRIGGER = Path(__file__).parents[1] / "src" / "trigger_api" / "models" / "trigger"
ALONE = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(TRIGGER)}
KINDS: Mapping[str, Mapping[str, str]] = {
    "every bundled model": {},
    "the trigger word alone": ALONE,
    "the trigger word alone, on TensorFlow": {**ALONE, "TRIGGER_API_RUNTIME": "tensorflow"},
}
SETTLE_S = 2.0


@dataclass(frozen=True)
class Start:
    """One start: seconds until ready, those computed, resident memory then, and whether TensorFlow was loaded."""

    seconds: float
    computed: float
    mib: float
    tensorflow: bool


def main() -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = [{kind: _start(kind) for kind in KINDS} for _ in range(options.rounds)]
    section = _report({kind: [each[kind] for each in rounds] for kind in KINDS})
    print(section)
    results.write(section)


def _start(kind: str) -> Start:
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{free_port()}"
        settings = {
            "TRIGGER_API_PORT": url.rpartition(":")[2],
            "TRIGGER_API_WORKERS": "1",
            "TRIGGER_API_LOG_LEVEL": "error",
            "TRIGGER_API_DATABASE_URL": f"sqlite:///{folder}/database.sqlite3",
        }
        started = time.perf_counter()
        command = [sys.executable, "-m", "trigger_api", "serve"]
        process = subprocess.Popen(command, env={**os.environ, **settings, **KINDS[kind]}, stderr=subprocess.DEVNULL)
        try:
            _await_ready(f"{url}/health/ready", process)
            seconds = time.perf_counter() - started
            computed = _processor_seconds(process.pid)
            time.sleep(SETTLE_S)
            maps = Path(f"/proc/{process.pid}/maps").read_text()
            return Start(seconds, computed, resident_mib(process.pid), "tensorflow" in maps)
        finally:
            process.terminate()
            process.wait(60)


def _processor_seconds(pid: int) -> float:
    """Seconds that a process has computed, in user and in system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _await_ready(probe: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(probe, timeout=30).close()
            return
        except OSError:  # not listening yet, or not ready
            time.sleep(0.01)
    raise RuntimeError("the server ended")


def _report(starts: Mapping[str, Sequence[Start]]) -> str:
    first = starts[next(iter(starts))]
    lines = [
        "## Start and memory",
        "",
        f"`python benchmarks/start.py`: from the command to `/health/ready`, one worker, {os.cpu_count()} cores, "
        f"medians of {len(first)} interleaved rounds (least, most).",
        "",
        "| served | ready | times the first | computed | resident memory | times the first | TensorFlow loaded |",
        "|---|---|---|---|---|---|---|",
        *(_row(kind, runs, first) for kind, runs in starts.items()),
        "",
    ]
    return "\n".join(lines)


def _row(kind: str, runs: Sequence[Start], first: Sequence[Start]) -> str:
    seconds, mib = [run.seconds for run in runs], [run.mib for run in runs]
    slower = statistics.median(a.seconds / b.seconds for a, b in zip(runs, first, strict=True))
    larger = statistics.median(a.mib / b.mib for a, b in zip(runs, first, strict=True))
    computed = statistics.median(run.computed for run in runs)
    loaded = "yes" if any(run.tensorflow for run in runs) else "no"
    return (
        f"| {kind} | {statistics.median(seconds):.1f} s ({min(seconds):.1f}, {max(seconds):.1f}) | {slower:.1f} "
        f"| {computed:.1f} s "
        f"| {statistics.median(mib):.0f} MiB | {larger:.1f} | {loaded} |"
    )


if __name__ == "__main__":
    main()
