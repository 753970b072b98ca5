"""Faces: detection against the package mtcnn, and whole requests against Flask with that package and ``model.predict``.

    python benchmarks/faces.py

One photo of 640 x 480 pixels with one face (JPEG). Each detector has a process of its own, and a few runs in each turn;
then there are up to 40 faces on a photo. Whole requests are those of the original emotion service, whose request and
response both servers share: a photo in base64, answered with its faces framed and cropped.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import PIL.Image
import skimage.data

import load
import results
from servers import server
from trigger_api.evaluation.serving import serving
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.observability import logs
from trigger_api.registry import BUNDLED
from trigger_api.tasks.faces.task import Faces

CORES = len(os.sched_getaffinity(0))
PACKAGE, OURS = "package `mtcnn`", "trigger_api"
FLASK, SERVICE, WHOLE = "Flask, gunicorn, `mtcnn`, `model.predict`", "service", "service, `yolo3`"
PORTS = {FLASK: 8131, SERVICE: 8132}
COUNTS = (1, 4, 12, 40)
REPEATS = 5  # runs in a row, as a service sees one photo after the other: in turn, each would find a cold cache

Detector = Callable[[bytes], object]
Loads = dict[str, load.LoadResult]
Times = dict[str, list[float]]

_SERVING = ExitStack()  # in the process of our detector


def main() -> None:
    options = _options()
    times, many = detection(options.photos)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        models = _models(Path(folder), options.model)
        requests = _start(stack, models, options.model)
        for request in requests.values():
            load.run(request, clients=1, seconds=2)
        rounds = [_round(requests, 1, options) for _ in range(options.rounds)]
        busy = _round(requests, options.clients, options)
    text = _report(times, many, rounds, busy, options)
    results.write(text)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="per server and round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--photos", type=int, default=15, help="turns of each detector")
    parser.add_argument(
        "--model", type=Path, default=BUNDLED / "emotions" / "mobilenetv2" / "1", help="model folder of a classifier"
    )
    return parser.parse_args()


def photo() -> bytes:
    """The astronaut, 640 x 480 pixels."""
    picture = PIL.Image.fromarray(skimage.data.astronaut()[:384])
    return _jpeg(picture.resize((640, 480)))


def crowd(count: int) -> bytes:
    """The astronaut's face several times on 640 x 480 pixels."""
    face = PIL.Image.fromarray(skimage.data.astronaut()[30:190, 144:304]).resize((80, 80))
    picture = PIL.Image.new("RGB", (640, 480), (90, 100, 110))
    for number in range(count):
        picture.paste(face, (number % 8 * 80, number // 8 * 80))
    return _jpeg(picture)


def detection(times: int) -> tuple[Times, dict[int, float]]:
    """Seconds that each detector takes, in a process of its own and in turns; and ours by the number of faces."""
    with ExitStack() as stack:
        own = partial(ProcessPoolExecutor, 1, get_context("spawn"))
        pools = {name: stack.enter_context(own()) for name in DETECTORS}
        stack.callback(lambda: pools[OURS].submit(_stop_serving).result())  # its threads would keep the process alive

        def timings(name: str, data: bytes, count: int) -> list[float]:
            return pools[name].submit(_timings, name, data, count).result()

        found: Times = {name: [] for name in pools}
        for name in found:
            timings(name, photo(), 1)  # the first call compiles
        for _ in range(times):
            for name, seconds in found.items():
                seconds += timings(name, photo(), REPEATS)
        many = {n: statistics.median(timings(OURS, crowd(n), 1 + REPEATS * times)[1:]) for n in COUNTS}
    return found, many


def _timings(name: str, data: bytes, count: int) -> list[float]:
    detect = _detector(name)
    return [_seconds(lambda: detect(data)) for _ in range(count)]


@cache
def _detector(name: str) -> Detector:
    return DETECTORS[name]()


def _ours() -> Detector:
    logs.configure("error")
    served = _SERVING.enter_context(serving(BUNDLED / Faces.name))
    return lambda data: served.predict(Faces, data)


def _stop_serving() -> None:
    _SERVING.close()


def _package() -> Detector:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mtcnn import MTCNN

    detector = MTCNN()
    return lambda data: detector.detect_faces(np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")))


DETECTORS: dict[str, Callable[[], Detector]] = {PACKAGE: _package, OURS: _ours}


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _models(folder: Path, classifier: Path) -> Path:
    """Copy what the service serves: the detector, the classifier, and the model for whole photos if there is one."""
    shutil.copytree(BUNDLED / "faces", folder / "faces")
    for model in (classifier, BUNDLED / "emotions" / "yolo3" / "1"):
        if model.is_dir():
            shutil.copytree(model, folder / "emotions" / read_card(model).name / "1")
    return folder


def _start(stack: ExitStack, models: Path, classifier: Path) -> dict[str, load.Request]:
    address = f"127.0.0.1:{PORTS[FLASK]}"
    workers = ["--workers", str(CORES), "--threads", "4", "--bind", address]
    command = ["-m", "gunicorn", *workers, "--pythonpath", str(Path(__file__).parent), "flask_faces:app"]
    stack.enter_context(server(command, f"http://{address}/", {"NETWORK": str(classifier / WEIGHTS_FILE)}))
    alone = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(models), "TRIGGER_API_LOG_LEVEL": "warning"}
    port = PORTS[SERVICE]
    probe = f"http://127.0.0.1:{port}/health/ready"
    stack.enter_context(server(["-m", "trigger_api", "serve", "--port", str(port)], probe, alone))
    name = read_card(classifier).name
    requests = {FLASK: _request(PORTS[FLASK], name), SERVICE: _request(port, name)}
    return {**requests, WHOLE: _request(port, "yolo3")} if (models / "emotions" / "yolo3").is_dir() else requests


def _request(port: int, model: str) -> load.Request:
    body = {"image": base64.b64encode(photo()).decode(), "model": model}
    headers = {"Content-Type": "application/json"}
    return load.Request(f"http://127.0.0.1:{port}/predict_api", json.dumps(body).encode(), headers)


def _round(requests: Mapping[str, load.Request], clients: int, options: argparse.Namespace) -> Loads:
    return {name: load.run(request, clients=clients, seconds=options.seconds) for name, request in requests.items()}


def _jpeg(picture: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _report(
    times: Times, many: Mapping[int, float], rounds: list[Loads], busy: Loads, options: argparse.Namespace
) -> str:
    lines = [
        "## Faces and their emotions",
        "",
        f"`python benchmarks/faces.py`: one photo of 640 x 480 pixels, {options.photos} turns of each detector, "
        f"{REPEATS} runs in a row, each in a process of its own, JPEG decoding included:",
        "",
        "| detector | median | least | times faster (least, most) |",
        "|---|---|---|---|",
        *(_row(name, times) for name in times),
        "",
        "Faces on one photo of 640 x 480 pixels: "
        + "; ".join(f"{n}: {1000 * each:.0f} ms, {1000 * each / n:.1f} a face" for n, each in many.items())
        + ".",
        "",
        f"Whole requests, one client, {len(rounds)} interleaved rounds of {options.seconds:g} s a server, medians; "
        f"then {options.clients} clients:",
        "",
        "| server | photos/s | times Flask (least, most) | p50 | p99 | failed "
        f"| {options.clients} clients: photos/s | times Flask | p50 |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {results.cells(name, FLASK, rounds)} | {busy[name].rate:.1f} "
            f"| {busy[name].rate / busy[FLASK].rate:.1f} | {busy[name].percentile(0.5):.0f} ms |"
            for name in busy
        ),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, times: Times) -> str:
    ratios = [package / own for package, own in zip(times[PACKAGE], times[name], strict=True)]
    return (
        f"| {name} | {1000 * statistics.median(times[name]):.0f} ms | {1000 * min(times[name]):.0f} ms "
        f"| {statistics.median(ratios):.1f} ({min(ratios):.1f}, {max(ratios):.1f}) |"
    )


if __name__ == "__main__":
    main()
