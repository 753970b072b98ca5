"""Months in minutes: 100 000 requests, 10 000 aborted ones, health checks under load, reloads, and shutdown.

    python benchmarks/soak.py

A tiny CNN over JSON behind one process; for the slow parts the bundled models: faces and their emotions on 20 000
photos, and the trigger word on uploads of 10 s of audio.
"""

from __future__ import annotations

import argparse
import io
import signal
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import PIL.Image
import skimage.data
import soundfile

import load
import networks
import results
from compare import Case
from rooms import resident_mib
from servers import server

PORT = 8180
SETTINGS = {"TRIGGER_API_LOG_LEVEL": "error", "TRIGGER_API_PORT": str(PORT)}
ADMIN = f"http://127.0.0.1:{PORT}"
_SETTLE_S = 45  # the server returns freed memory every 20 s


def main() -> None:
    options = _options()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = networks.tiny(Path(folder))
        path = f"/v2/models/{model.parent.name}/infer"
        case = Case("tiny", "image", model / "model.keras", model / "model.onnx", model, path, (8,))
        request = case.request("trigger_api", PORT)
        alone = {**SETTINGS, "TRIGGER_API_MODELS": str(model), "TRIGGER_API_BUNDLED": "false"}
        with server(["-m", "trigger_api", "serve"], f"{ADMIN}/health/ready", alone) as process:
            rows.append(_growth("requests", request, process.pid, options.requests))
            rows.append(_aborted(request, process.pid, options.aborted))
            load_url = f"{ADMIN}/v2/repository/models/{model.parent.name}/load"
            rows += [_reloaded(request, load_url, options.seconds, pause) for pause in (1.0, 0.0)]
            rows.append(_terminated(request, process.send_signal, options.seconds / 4))
    with server(["-m", "trigger_api", "serve"], f"{ADMIN}/health/ready", SETTINGS) as process:
        rows.append(_growth("photos with a face", _photo(), process.pid, options.photos))
        rows.append(_health(_recording(), options.seconds))
    section = _report(rows)
    results.write(section)
    print(section)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--aborted", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20, help="duration of each other part")
    return parser.parse_args()


Row = tuple[str, str, str]


def _growth(what: str, request: load.Request, pid: int, requests: int) -> Row:
    """Resident memory before and after, both once the server has returned what it can."""
    _send(request, requests // 10)
    time.sleep(_SETTLE_S)
    before = resident_mib(pid)
    failed = _send(request, requests)
    time.sleep(_SETTLE_S)
    after = resident_mib(pid)
    grown = f"{before:.0f} to {after:.0f} MiB ({100 * (after / before - 1):+.1f} %), {failed} failed"
    return f"{requests} {what}, 8 clients: resident memory", grown, "less than 2 % more"


def _send(request: load.Request, requests: int) -> int:
    """Send at least this many; returns how many failed."""
    sent = failed = 0
    while sent < requests:
        done = load.run(request, clients=8, seconds=5)
        sent, failed = sent + len(done.latencies), failed + len(done.failures)
    return failed


def _aborted(request: load.Request, pid: int, requests: int) -> Row:
    """Clients that send a request and hang up: every descriptor is released, and nothing stays in flight."""
    before = _descriptors(pid)
    threads = [threading.Thread(target=_abort, args=(request, requests // 8)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2)
    left = f"descriptors {before}, then {_descriptors(pid)}; in flight {_in_flight():.0f}"
    return f"{requests} aborted requests", left, "the same as before"


def _abort(request: load.Request, requests: int) -> None:
    address = urlsplit(request.url)
    for _ in range(requests):
        with socket.create_connection((address.hostname, address.port)) as channel:
            channel.sendall(request.message)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _in_flight() -> float:
    """Requests that the server reports in flight, except the one that asks."""
    with urllib.request.urlopen(f"{ADMIN}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("trigger_api_requests_in_flight")) - 1


def _reloaded(request: load.Request, url: str, seconds: float, pause_s: float) -> Row:
    """The model is reloaded again and again while it answers."""

    def reload() -> None:
        _post(url)
        time.sleep(pause_s)

    quiet = load.run(request, clients=2, seconds=seconds)
    with _meanwhile(reload) as times:
        busy = load.run(request, clients=2, seconds=seconds)
    p99 = busy.percentile(0.99), quiet.percentile(0.99)
    found = f"{len(times)} loads, {len(busy.failures)} errors, p99 {p99[0]:.1f} ms, {p99[0] / p99[1]:.2f} times without"
    how = f"{pause_s:g} s after the last load" if pause_s else "without a pause"
    return f"reloading under load, {how}, 2 clients", found, "no error; p99 at most 1.5 times"


def _health(request: load.Request, seconds: float) -> Row:
    """How long the simplest request takes while 64 recordings are processed."""
    answers: list[float] = []

    def probe() -> None:
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{ADMIN}/health/live", timeout=30):
            answers.append(time.perf_counter() - begun)
        time.sleep(0.02)

    with ProcessPoolExecutor(1) as beside, _meanwhile(probe):  # 64 clients would keep the probe's own thread waiting
        done = beside.submit(partial(load.run, request, clients=64, seconds=seconds)).result()
    p50, p99 = (1000 * float(np.percentile(answers, share)) for share in (50, 99))
    found = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(answers)}; {done.rate:.0f} recordings/s"
    return "`/health/live` while 64 clients send recordings", found, "p99 under 20 ms"


def _terminated(request: load.Request, kill: Callable[[int], None], seconds: float) -> Row:
    """SIGTERM while 8 clients send requests: what was sent before it is answered."""
    begun: list[tuple[float, int]] = []
    clients = [threading.Thread(target=_request_until_closed, args=(request, begun)) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    ended = time.perf_counter()
    kill(signal.SIGTERM)
    for client in clients:
        client.join()
    before = [status for started, status in begun if started < ended]
    found = f"{len(before)} sent before it, {sum(status != 200 for status in before)} not answered"
    return "SIGTERM under load, 8 clients", found, "every accepted request is answered"


def _request_until_closed(request: load.Request, begun: list[tuple[float, int]]) -> None:
    try:
        while True:
            channel = load.Channel(request.url)
            while channel.open:
                started, status = time.perf_counter(), 0
                try:
                    status = channel.ask(request.message)
                finally:
                    begun.append((started, status))
    except OSError:
        return


@contextmanager
def _meanwhile(act: Callable[[], None]) -> Iterator[list[float]]:
    """Repeat something while the block lasts; yields the times when it was done."""
    times: list[float] = []
    over = threading.Event()

    def go() -> None:
        while not over.is_set():
            act()
            times.append(time.perf_counter())

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


def _post(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=60):
        return


def _recording() -> load.Request:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.05, 441_000)
    soundfile.write(buffer, noise, 44_100, format="WAV", subtype="PCM_16")
    return load.upload(f"{ADMIN}/v1/trigger", "clip.wav", buffer.getvalue(), "audio")


def _photo() -> load.Request:
    """A photo of 320 x 240 pixels with one face."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(skimage.data.astronaut()[:384]).resize((320, 240)).save(buffer, "JPEG", quality=90)
    return load.upload(f"{ADMIN}/v1/emotions", "face.jpg", buffer.getvalue(), "image")


def _report(rows: list[Row]) -> str:
    lines = [
        "## Soak",
        "",
        "`python benchmarks/soak.py`: a tiny CNN (photos, and the last row: the bundled models) behind one process, "
        "the load on the same 2 cores.",
        "",
        "| what | measured | wanted |",
        "|---|---|---|",
        *(f"| {what} | {found} | {wanted} |" for what, found, wanted in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
