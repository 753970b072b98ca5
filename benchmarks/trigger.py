"""Clips a second through the running service, against Flask with ``model.predict``, in one interleaved run.

    make bench

One clip of 10 s at 44.1 kHz, eight clients, each sending its next request when the last one is answered. The
exercise's network has random weights: they cost as much as trained ones. The service runs as its README starts it, and
as one would run it in earnest: a worker process for each core, and the network converted for ONNX Runtime.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile

import load
import networks
import results
from servers import server

FLASK = "Flask, `model.predict`"
EXERCISE, EXERCISE_WORKERS = "exercise's network", "exercise's network, a worker a core"
BUNDLED, BUNDLED_WORKERS = "bundled model", "bundled model, a worker a core"
PORTS = {FLASK: 8101, EXERCISE: 8102, EXERCISE_WORKERS: 8103, BUNDLED: 8104, BUNDLED_WORKERS: 8105}
CORES = len(os.sched_getaffinity(0))


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for running in _servers(Path(folder)):
            stack.enter_context(running)
        for name in PORTS:  # the first requests compile what the baseline did not compile before
            load.run(_request(name), clients=options.clients, seconds=1)
        rounds = [_round(options) for _ in range(options.rounds)]
        alone = {name: load.run(_request(name), clients=1, seconds=options.seconds / 2) for name in PORTS}
    text = _report(rounds, alone, options)
    results.write(text)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30, help="per server and round")
    parser.add_argument("--slow", type=float, default=30, help="the same, for Flask")
    parser.add_argument("--clients", type=int, default=8)
    return parser.parse_args()


def _servers(folder: Path) -> Iterator[AbstractContextManager[object]]:
    original = networks.demo(folder / "demo.keras")
    own = networks.demo(folder / "tr_model.keras", time_distributed=False)
    here = str(Path(__file__).parent / "flask_baseline.py")
    yield server([here, str(original), str(PORTS[FLASK])], f"http://127.0.0.1:{PORTS[FLASK]}/")
    for name, models in ((EXERCISE, str(own)), (EXERCISE_WORKERS, str(own)), (BUNDLED, ""), (BUNDLED_WORKERS, "")):
        yield _ours(PORTS[name], models, folder / "cache" if name in (EXERCISE_WORKERS, BUNDLED_WORKERS) else None)


@contextmanager
def _ours(port: int, models: str, cache: Path | None) -> Iterator[None]:
    environment = {"TRIGGER_API_LOG_LEVEL": "warning", "TRIGGER_API_MODELS": models}
    if cache:
        threads = dict.fromkeys(("TRIGGER_API_INFERENCE_THREADS", "TRIGGER_API_PREPROCESS_THREADS"), "1")
        environment |= {"TRIGGER_API_WORKERS": str(CORES), "TRIGGER_API_CACHE": str(cache), **threads}
    command = ["-m", "trigger_api", "serve", "--port", str(port)]
    with server(command, f"http://127.0.0.1:{port}/health/ready", environment):
        yield


def _request(name: str) -> load.Request:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    soundfile.write(buffer, rng.normal(0, 0.05, 441_000), 44_100, format="WAV", subtype="PCM_16")
    return load.upload(f"http://127.0.0.1:{PORTS[name]}/predict", "clip.wav", buffer.getvalue(), "audio")


def _round(options: argparse.Namespace) -> dict[str, load.LoadResult]:
    seconds = {FLASK: options.slow}
    return {
        name: load.run(_request(name), clients=options.clients, seconds=seconds.get(name, options.seconds))
        for name in PORTS
    }


def _report(
    rounds: list[dict[str, load.LoadResult]], alone: dict[str, load.LoadResult], options: argparse.Namespace
) -> str:
    lines = [
        "## One clip of 10 s",
        "",
        f"`python benchmarks/trigger.py`: {options.clients} clients, {len(rounds)} interleaved rounds of "
        f"{options.seconds:g} s a server ({options.slow:g} s for Flask), medians; then one client alone.",
        "",
        "| server | clips/s | times Flask (least, most) | p50 | p99 | failed | alone: clips/s | p50 |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {results.cells(name, FLASK, rounds)} "
            f"| {alone[name].rate:.1f} | {alone[name].percentile(0.5):.0f} ms |"
            for name in PORTS
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
