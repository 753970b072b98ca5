"""Sentences of mixed length through the running service, against ``model.predict`` on one after the other.

    python benchmarks/entities.py

The clients each send their next sentence when the last is answered. The service runs as its README starts it, and with
a folder for conversions, so that the network runs on ONNX Runtime. ``model.predict`` gets the sentences in a process
without a network between, each padded to the length that the service pads it to.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import load
import results
from servers import server
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.registry import BUNDLED
from trigger_api.tasks.entities.tagger import SCORES, Tagger

MODEL = BUNDLED / "entities" / "minilm" / "1"
PREDICT, SERVICE, CONVERTED = "`model.predict`, one at a time", "service", "service, converted for ONNX Runtime"
PORTS = {SERVICE: 8111, CONVERTED: 8112}
SENTENCES = (
    "Paris",
    "I love Paris",
    "Call Maria Lopez tomorrow.",
    "Where does the Danube meet the sea?",
    "The Red Cross sent two lorries from Geneva to Aleppo.",
    "On Friday the Bank of England left its rate where it was, as Reuters had foretold.",
    "Mr. Smith left the U.S. Army in May and moved to Paris, where he works for the French newspaper Le Monde.",
    "Nobody at Northwind Shipping, a small company in the harbour of Rotterdam, remembers who first painted the name "
    "Wilhelmina on the crane that still stands beside the old customs house.",
    "Before she became a minister, Amina Diallo taught chemistry in Dakar, wrote two novels in French, played for the "
    "women's team of Senegal, and for one long winter in Helsinki mended clocks with an old friend of her father, whom "
    "she describes in the first chapter of The Silent Pendulum as the only honest man between Lapland and the Sahara.",
)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as cache, ExitStack() as stack:
        predict = _predictor()
        starts = {name: stack.enter_context(_service(name, Path(cache))) for name in PORTS}
        for name in PORTS:
            load.run(*_requests(name), clients=options.clients, seconds=2)
        rounds = [_round(options, predict) for _ in range(options.rounds)]
        alone = {name: load.run(*_requests(name), clients=1, seconds=options.seconds / 2) for name in PORTS}
    text = _report(rounds, alone, starts, options)
    results.write(text)
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="per method and round")
    parser.add_argument("--clients", type=int, default=32)
    return parser.parse_args()


@contextmanager
def _service(name: str, cache: Path) -> Iterator[float]:
    """Run the service; yields the seconds that its start took, conversions made before."""
    environment = {"TRIGGER_API_LOG_LEVEL": "warning"} | (
        {"TRIGGER_API_CACHE": str(cache)} if name == CONVERTED else {}
    )
    command = ["-m", "trigger_api", "serve", "--port", str(PORTS[name])]
    probe = f"http://127.0.0.1:{PORTS[name]}/health/ready"
    if name == CONVERTED:
        with server(command, probe, environment):  # the first start converts
            pass
    started = time.perf_counter()
    with server(command, probe, environment):
        yield time.perf_counter() - started


def _predictor() -> Callable[[str], object]:
    """Text to tags by ``model.predict``, one text a call."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    card = read_card(MODEL)
    tagger = Tagger.load(MODEL, card.labels, card.sequence_lengths)
    model = keras.models.load_model(MODEL / WEIGHTS_FILE, compile=False, safe_mode=True)

    def predict(text: str) -> object:
        prepared = tagger.preprocess(text)
        items = [{name: array[None] for name, array in item.items()} for item in prepared.items]
        outputs = [model.predict(item, verbose=0)[SCORES][0] for item in items]
        return tagger.postprocess(prepared, [{SCORES: scores} for scores in outputs])

    for text in SENTENCES:  # the first call of each length traces it
        predict(text)
    return predict


def _requests(name: str) -> list[load.Request]:
    url, headers = f"http://127.0.0.1:{PORTS[name]}/v1/entities", {"Content-Type": "application/json"}
    return [load.Request(url, json.dumps({"text": text}).encode(), headers) for text in SENTENCES]


def _round(options: argparse.Namespace, predict: Callable[[str], object]) -> dict[str, load.LoadResult]:
    served = {name: load.run(*_requests(name), clients=options.clients, seconds=options.seconds) for name in PORTS}
    return {PREDICT: _one_at_a_time(predict, options.seconds)} | served


def _one_at_a_time(predict: Callable[[str], object], seconds: float) -> load.LoadResult:
    run = load.LoadResult(seconds)
    began = time.perf_counter()
    for text in itertools.cycle(SENTENCES):
        started = time.perf_counter()
        predict(text)
        run.latencies.append(time.perf_counter() - started)
        run.seconds = time.perf_counter() - began
        if run.seconds >= seconds:
            return run
    raise AssertionError("sentences never end")


def _report(
    rounds: list[dict[str, load.LoadResult]],
    alone: dict[str, load.LoadResult],
    starts: dict[str, float],
    options: argparse.Namespace,
) -> str:
    lines = [
        "## Sentences of mixed length",
        "",
        f"`python benchmarks/entities.py`: {len(SENTENCES)} sentences of 1 to 67 words, {options.clients} clients, "
        f"{len(rounds)} interleaved rounds of {options.seconds:g} s each, medians; then one client alone.",
        "",
        "| way | sentences/s | times `predict` (least, most) | p50 | p99 | failed | alone: p50 | p99 | start |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(name, rounds, alone.get(name), starts.get(name)) for name in rounds[0]),
        "",
    ]
    return "\n".join(lines)


def _row(
    name: str, rounds: list[dict[str, load.LoadResult]], alone: load.LoadResult | None, start: float | None
) -> str:
    lone = f"{alone.percentile(0.5):.1f} ms | {alone.percentile(0.99):.0f} ms" if alone else "|"
    return f"| {name} | {results.cells(name, PREDICT, rounds)} | {lone} | {f'{start:.0f} s' if start else ''} |"


if __name__ == "__main__":
    main()
