"""The Open Inference Protocol: what a tensor of 1 MB costs over gRPC, in HTTP's binary form, and in JSON.

``python benchmarks/open_inference.py``. The clients are Triton's own, unmodified, and the model returns its input.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http

import networks
from load import LoadResult, side_by_side
from results import cells, write
from servers import server

PORT, GRPC_PORT = 8_751, 8_752
SIDE = 512
SECONDS, ROUNDS, CLIENTS = 2.0, 5, (1, 4)
BASELINE = "HTTP, binary"
NAMES = ("gRPC", BASELINE, "HTTP, JSON")
SERVICE = {
    "TRIGGER_API_BUNDLED": "false", "TRIGGER_API_DATABASE_URL": "none", "TRIGGER_API_LOG_LEVEL": "warning",
    "TRIGGER_API_PORT": str(PORT), "TRIGGER_API_GRPC_PORT": str(GRPC_PORT),
}  # fmt: skip
Infer = Callable[[], Any]


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    with tempfile.TemporaryDirectory() as folder:
        networks.idle(Path(folder), SIDE)
        command = ["-m", "trigger_api", "serve"]
        with server(command, f"http://127.0.0.1:{PORT}/health/ready", {**SERVICE, "TRIGGER_API_MODELS": folder}):
            write(_section({clients: [_round(clients) for _ in range(ROUNDS)] for clients in CLIENTS}))


def _round(clients: int) -> Mapping[str, LoadResult]:
    return {name: _run(name, clients) for name in NAMES}


def _run(name: str, clients: int) -> LoadResult:
    result = LoadResult(SECONDS)
    result.seconds = side_by_side([partial(_ask, _client(name), result) for _ in range(clients)])
    return result


def _ask(infer: Infer, result: LoadResult) -> None:
    infer()
    stop = time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < stop:
        infer()
        result.latencies.append(time.perf_counter() - started)


def _client(name: str) -> Infer:
    """A client with a connection of its own, which sends a tensor and reads the one that it gets."""
    triton, address = (tritonclient.grpc, GRPC_PORT) if name == "gRPC" else (tritonclient.http, PORT)
    form = {} if name == "gRPC" else {"binary_data": name == BASELINE}
    client = triton.InferenceServerClient(f"127.0.0.1:{address}")
    tensor = np.random.default_rng(0).random((1, SIDE, SIDE, 1), np.float32)
    image = triton.InferInput("image", list(tensor.shape), "FP32")
    image.set_data_from_numpy(tensor, **form)
    wanted = [triton.InferRequestedOutput("scores", **form)]
    return partial(_infer, client, image, wanted, tensor)


def _infer(client: Any, image: Any, wanted: Any, tensor: Any) -> None:
    answer = client.infer("idle", [image], outputs=wanted).as_numpy("scores")
    assert answer.shape == tensor.shape


def _section(runs: Mapping[int, list[Mapping[str, LoadResult]]]) -> str:
    size = SIDE * SIDE * 4 / 2**20
    lines = [
        "## A tensor of 1 MB over gRPC and HTTP", "",
        f"A float32 tensor of {size:.0f} MiB each way, through a model that returns it. Triton's clients run in one "
        f"process beside the server; medians of {ROUNDS} rounds of {SECONDS:g} s.", "",
        "| clients | protocol | requests/s | ratio (min, max) | p50 | p99 | failed |",
        "|---|---|---|---|---|---|---|",
        *(f"| {clients} | {name} | {cells(name, BASELINE, rounds)} |" for clients, rounds in runs.items()
          for name in NAMES),
        "",
        _summary(runs), "", "`python benchmarks/open_inference.py`", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _summary(runs: Mapping[int, list[Mapping[str, LoadResult]]]) -> str:
    ratios = {
        name: [statistics.median(one["gRPC"].rate / one[name].rate for one in rounds) for rounds in runs.values()]
        for name in NAMES[1:]
    }
    parts = (f"{min(each):.2f} to {max(each):.2f} times as fast as {name}" for name, each in ratios.items())
    return f"gRPC is {', and '.join(parts)}."


if __name__ == "__main__":
    main()
