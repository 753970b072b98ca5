"""A digit in JSON, the well-known MNIST page's request, against Flask with ``model.predict``.

    python benchmarks/digits.py

A picture of 140 x 140 pixels (PNG in base64) with one digit on it, one client and eight. Flask squeezes the picture
into 28 x 28; the service looks for digits, and reads all that it finds.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

import load
import results
from servers import server
from trigger_api.model_card import WEIGHTS_FILE
from trigger_api.registry import BUNDLED

MODEL = BUNDLED / "digits" / "mnist" / "1"
CORES = len(os.sched_getaffinity(0))
FLASK, SERVICE, PLAIN = "Flask, gunicorn, `model.predict`", "service", "service on TensorFlow"
PORTS = {FLASK: 8131, SERVICE: 8132, PLAIN: 8133}
CLIENTS = (1, 8)

Loads = dict[str, load.LoadResult]


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        _start(stack)
        for name in PORTS:
            load.run(_request(name), clients=2, seconds=2)
        tables = {clients: [_round(clients, options.seconds) for _ in range(options.rounds)] for clients in CLIENTS}
    section = _report(tables, options)
    results.write(section)
    print(section)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="per server and round")
    return parser.parse_args()


def _start(stack: ExitStack) -> None:
    workers = ["--workers", str(CORES), "--threads", "4", "--bind", f"127.0.0.1:{PORTS[FLASK]}"]
    command = ["-m", "gunicorn", *workers, "--pythonpath", str(Path(__file__).parent), "flask_digits:app"]
    stack.enter_context(server(command, _url(FLASK), {"NETWORK": str(MODEL / WEIGHTS_FILE)}))
    alone = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(MODEL), "TRIGGER_API_LOG_LEVEL": "warning"}
    for name, runtime in ((SERVICE, "auto"), (PLAIN, "tensorflow")):
        command = ["-m", "trigger_api", "serve", "--port", str(PORTS[name])]
        probe = f"http://127.0.0.1:{PORTS[name]}/health/ready"
        stack.enter_context(server(command, probe, {**alone, "TRIGGER_API_RUNTIME": runtime}))


def _url(name: str) -> str:
    return f"http://127.0.0.1:{PORTS[name]}/image-predict"


def _request(name: str) -> load.Request:
    picture, buffer = PIL.Image.new("L", (140, 140), 245), io.BytesIO()
    font = PIL.ImageFont.load_default(size=100)
    PIL.ImageDraw.Draw(picture).text((70, 70), "3", fill=20, font=font, anchor="mm")
    picture.save(buffer, "PNG")
    body = json.dumps({"image": base64.b64encode(buffer.getvalue()).decode(), "filename": "3.png"})
    return load.Request(_url(name), body.encode(), {"Content-Type": "application/json"})


def _round(clients: int, seconds: float) -> Loads:
    return {name: load.run(_request(name), clients=clients, seconds=seconds) for name in PORTS}


def _report(tables: Mapping[int, list[Loads]], options: argparse.Namespace) -> str:
    lines = [
        "## A digit in JSON",
        "",
        f"`python benchmarks/digits.py`: one digit on 140 x 140 pixels, {options.rounds} interleaved rounds of "
        f"{options.seconds:g} s each, medians.",
    ]
    for clients, rounds in tables.items():
        lines += [
            "",
            f"| {clients} client{'s' * (clients > 1)} | digits/s | times Flask (least, most) | p50 | p99 | failed |",
            "|---|---|---|---|---|---|",
            *(f"| {name} | {results.cells(name, FLASK, rounds)} |" for name in PORTS),
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
