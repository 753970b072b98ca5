"""Photos a second through the running service, against Flask with ``model.predict``; and what a photo costs.

    python benchmarks/objects.py

One photo of 600 x 400 pixels (JPEG), clients that each send it again when the last answer is there. The service runs
as its README starts it, on ONNX Runtime, and on TensorFlow. Flask serves the same network between Pillow and numpy.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import PIL.Image
import skimage.data

import load
import results
from servers import server
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.registry import BUNDLED
from trigger_api.runtimes import LoadOptions
from trigger_api.runtimes import load as read
from trigger_api.scheduler import CompiledFunction
from trigger_api.tasks.objects.task import DetectionOptions, preprocess

MODEL = BUNDLED / "objects" / "yolox-nano" / "1"
NETWORK = "yolox_nano"  # the layer of the whole detector that is the network alone
CORES = len(os.sched_getaffinity(0))
FLASK, SERVICE, PLAIN = "Flask, gunicorn, `model.predict`", "service", "service on TensorFlow"
PORTS = {FLASK: 8121, SERVICE: 8122, PLAIN: 8123}

Loads = dict[str, load.LoadResult]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        network = _network(Path(folder))
        costs = _costs(Path(folder), network)
        with ExitStack() as stack:
            _start(stack, network)
            for name in PORTS:
                load.run(_request(name), clients=options.clients, seconds=2)
            rounds = [
                {name: load.run(_request(name), clients=options.clients, seconds=options.seconds) for name in PORTS}
                for _ in range(options.rounds)
            ]
            alone = {name: load.run(_request(name), clients=1, seconds=options.seconds / 2) for name in PORTS}
    text = _report(rounds, alone, costs, options)
    results.write(text)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="per server and round")
    parser.add_argument("--clients", type=int, default=8)
    return parser.parse_args()


def _network(folder: Path) -> Path:
    """The network alone, as a file of its own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    path = folder / "network.keras"
    keras.models.load_model(MODEL / WEIGHTS_FILE, compile=False).get_layer(NETWORK).save(path)
    return path


def _start(stack: ExitStack, network: Path) -> None:
    address = f"127.0.0.1:{PORTS[FLASK]}"
    workers = ["--workers", str(CORES), "--threads", "4", "--bind", address]
    command = ["-m", "gunicorn", *workers, "--pythonpath", str(Path(__file__).parent), "flask_objects:app"]
    stack.enter_context(server(command, f"http://{address}/", {"NETWORK": str(network)}))
    stack.enter_context(_service(SERVICE, {}))
    stack.enter_context(_service(PLAIN, {"TRIGGER_API_RUNTIME": "tensorflow"}))


@contextmanager
def _service(name: str, environment: Mapping[str, str]) -> Iterator[None]:
    alone = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(MODEL), "TRIGGER_API_LOG_LEVEL": "warning"}
    port = PORTS[name]
    probe = f"http://127.0.0.1:{port}/health/ready"
    with server(["-m", "trigger_api", "serve", "--port", str(port)], probe, {**alone, **environment}):
        yield


def _request(name: str) -> load.Request:
    buffer = io.BytesIO()
    PIL.Image.fromarray(skimage.data.coffee()).save(buffer, "JPEG", quality=90)
    return load.upload(f"http://127.0.0.1:{PORTS[name]}/v1/objects", "photo.jpg", buffer.getvalue(), "image")


def _costs(folder: Path, network: Path) -> dict[str, float]:
    """Milliseconds a photo on one thread, by what computes it; measured in turns, the least of each."""
    calls = {**_detectors(), "the network alone, ONNX Runtime": _alone(folder, network)}
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(30):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: 1000 * min(each) for name, each in times.items()}


def _detectors() -> dict[str, Callable[[], object]]:
    card = read_card(MODEL)
    item = preprocess(skimage.data.coffee(), card, DetectionOptions()).item
    photo = {name: tensor[None] for name, tensor in item.items()}

    def bound(runner: CompiledFunction) -> Callable[[], object]:
        return lambda: runner(photo)

    runners = {
        "whole detector, compiled by TensorFlow": read(MODEL, card, LoadOptions(kind="tensorflow")),
        "whole detector, ONNX Runtime": read(MODEL, card, LoadOptions(kind="onnx")),
    }
    return {name: bound(network.compile(card.inputs, 1)) for name, network in runners.items()}


def _alone(folder: Path, network: Path) -> Callable[[], object]:
    import keras
    import numpy as np
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    model = keras.models.load_model(network, compile=False)
    signature = [tf.TensorSpec((1, 416, 416, 3), tf.float32, "pictures")]
    function = tf.function(lambda pictures: model(pictures, training=False), input_signature=signature)
    path = str(folder / "network.onnx")
    tf2onnx.convert.from_function(function, input_signature=signature, opset=18, output_path=path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    pictures = np.zeros((1, 416, 416, 3), np.float32)
    return lambda: session.run(None, {"pictures": pictures})


def _report(rounds: list[Loads], alone: Loads, costs: Mapping[str, float], options: argparse.Namespace) -> str:
    (_, network) = list(costs.items())[-1]
    lines = [
        "## Objects on a photo",
        "",
        f"`python benchmarks/objects.py`: {options.clients} clients, {len(rounds)} interleaved rounds of "
        f"{options.seconds:g} s a server, medians; then one client alone.",
        "",
        "| server | photos/s | times Flask (least, most) | p50 | p99 | failed | alone: photos/s | p50 |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {results.cells(name, FLASK, rounds)} "
            f"| {alone[name].rate:.1f} | {alone[name].percentile(0.5):.0f} ms |"
            for name in PORTS
        ),
        "",
        "One photo on one thread, the least of 30 in turn:",
        "",
        "| what | ms | times the network alone |",
        "|---|---|---|",
        *(f"| {name} | {cost:.1f} | {cost / network:.2f} |" for name, cost in costs.items()),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
