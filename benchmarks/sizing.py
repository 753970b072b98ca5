"""What one core serves: requests a second of each task, and the memory that its models take.

    python benchmarks/sizing.py

A node with the models of one task is pinned to one core and asked from another, one task after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import load
import results
from rooms import resident_mib
from servers import free_port, server

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
PAGES = ROOT / "src" / "trigger_api" / "web" / "static" / "samples"
MODELS = ROOT / "src" / "trigger_api" / "models"
CLIENTS = 4
_SAMPLES = {
    "trigger": ("4 s with the word", SAMPLES / "activate.wav"),
    "digits": ("a handwritten note", SAMPLES / "note.jpg"),
    "emotions": ("two faces, 640 x 400", PAGES / "faces.jpg"),
    "objects": ("a scene, 640 x 400", PAGES / "scene.jpg"),
}


@dataclass(frozen=True)
class Measured:
    """Of one task: what was asked, requests a second, their times, and MiB when ready and after the load."""

    what: str
    result: load.LoadResult
    ready_mib: float
    mib: float


def main() -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    server_core, client_core, *_ = sorted(os.sched_getaffinity(0)) * 2
    os.sched_setaffinity(0, {client_core})
    section = _report([_measure(task, options.seconds, server_core) for task in _folders()])
    print(section)
    results.write(section)


def _folders() -> Mapping[str, tuple[str, ...]]:
    """The models that each task needs."""
    return {"trigger": ("trigger",), "digits": ("digits",), "emotions": ("emotions", "faces"), "objects": ("objects",),
            "entities": ("entities",)}  # fmt: skip


def _measure(task: str, seconds: float, core: int) -> Measured:
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "TRIGGER_API_PORT": url.rpartition(":")[2],
        "TRIGGER_API_BUNDLED": "false",
        "TRIGGER_API_MODELS": ",".join(str(MODELS / name) for name in _folders()[task]),
        "TRIGGER_API_DATABASE_URL": "none",
        "TRIGGER_API_LOG_LEVEL": "error",
    }
    what, request = _request(task, url)
    command = ["-c", _PINNED.format(core=core)]
    with server(command, f"{url}/health/ready", settings) as process:
        time.sleep(1)
        ready = resident_mib(process.pid)
        load.run(request, clients=CLIENTS, seconds=1)
        result = load.run(request, clients=CLIENTS, seconds=seconds)
        return Measured(f"{task}: {what}", result, ready, resident_mib(process.pid))


# Pinned before anything is imported: libraries count cores then.
_PINNED = "import os, sys; os.sched_setaffinity(0, {{{core}}}); sys.argv = ['trigger-api', 'serve']; " \
    "from trigger_api.cli.main import app; app()"  # fmt: skip


def _request(task: str, url: str) -> tuple[str, load.Request]:
    at = f"{url}/v1/{task}"
    if task == "entities":
        body = json.dumps({"text": "Ada Lovelace wrote to the Royal Society in London."}).encode()
        return "one sentence", load.Request(at, body, {"Content-Type": "application/json"})
    what, path = _SAMPLES[task]
    return what, load.upload(at, path.name, path.read_bytes(), "audio" if task == "trigger" else "image")


def _report(rows: list[Measured]) -> str:
    lines = [
        "## One core",
        "",
        f"`python benchmarks/sizing.py`: a node with the models of one task, pinned to one core; {CLIENTS} clients on "
        f"another, for {rows[0].result.seconds:.0f} s.",
        "",
        "| task | requests/s | p50 | p99 | failed | MiB when ready | after the load |",
        "|---|---|---|---|---|---|---|",
        *(_row(each) for each in rows),
        "",
    ]
    return "\n".join(lines)


def _row(row: Measured) -> str:
    run = row.result
    times = f"{run.percentile(0.5):.0f} ms | {run.percentile(0.99):.0f} ms | {len(run.failures)}"
    return f"| {row.what} | {run.rate:.1f} | {times} | {row.ready_mib:.0f} | {row.mib:.0f} |"


if __name__ == "__main__":
    main()
