"""The engine compared with competitors: the same network, input and client, all servers up at once, measured in turn.

    python benchmarks/compare.py

A tiny CNN over JSON, a model that costs nothing, and the well-known exercise's network over uploads of 10 s of sound;
each served by Flask behind gunicorn with ``model.predict``, by FastAPI's thread pool, by LitServe, by BentoML, by mosec
(pictures alone) and by trigger_api. The baseline overhead is that of the same requests answered without a model; the
upper bound is the same work with nothing served.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile

import load
import networks
import results
from servers import server
from trigger_api.repository import discover

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
OVERHEAD, UPPER_BOUND = "baseline overhead: no model", "upper bound: nothing served"
FLASK, THREADS, BENTO = "Flask, gunicorn, `model.predict`", "FastAPI threads", "BentoML"
LIT, TUNED = "LitServe", "LitServe, tuned"
MOSEC, BATCHES = "mosec", "mosec, batches"
TENSORFLOW, ONNX, BUNDLED = "trigger_api, TensorFlow", "trigger_api", "trigger_api, bundled word"
ORDER = (OVERHEAD, FLASK, THREADS, LIT, TUNED, BENTO, MOSEC, BATCHES, TENSORFLOW, ONNX, BUNDLED, UPPER_BOUND)
_PORT, _PATIENCE = 8140, 60
OURS = {
    "TRIGGER_API_LOG_LEVEL": "warning",
    "TRIGGER_API_WORKERS": str(CORES),
    "TRIGGER_API_INFERENCE_THREADS": "1",
    "TRIGGER_API_PREPROCESS_THREADS": "1",
}


Run = dict[tuple[str, int], load.LoadResult]
"""One round: what each server did with each number of clients."""


@dataclass(frozen=True)
class Case:
    """One network, behind every server.

    Attributes:
        kind: ``image`` (JSON) or ``audio`` (an upload).
        keras: the file that Flask loads.
        onnx: the same, converted: what all others compute on ONNX Runtime.
        models: what trigger_api is told to serve.
        path: trigger_api's path for it.
        clients: the numbers of concurrent clients to measure.
    """

    name: str
    kind: str
    keras: Path
    onnx: Path
    models: Path
    path: str
    clients: tuple[int, ...]

    @property
    def body(self) -> bytes:
        """The input itself."""
        rng = np.random.default_rng(0)
        if self.kind == "image":
            return json.dumps({"image": rng.random(networks.SIDE**2).round(3).tolist()}).encode()
        buffer = io.BytesIO()
        soundfile.write(buffer, rng.normal(0, 0.05, 441_000), 44_100, format="WAV", subtype="PCM_16")
        return buffer.getvalue()

    def request(self, name: str, port: int) -> load.Request:
        """The request that a server gets."""
        ours = name in (TENSORFLOW, ONNX, BUNDLED)
        url = f"http://127.0.0.1:{port}{self.path if ours else '/' + self.kind}"
        if self.kind == "audio":
            return load.upload(url, "clip.wav", self.body, "audio")
        body = _as_tensor(self.body) if ours else self.body
        return load.Request(url, body, {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Competitor:
    """A server under test: its command line and environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        cases = [case for case in make_cases(Path(folder)) if case.name in options.case]
        sections = [_measured(case, options, Path(folder)) for case in cases]
    for section in sections:
        results.write(section)
        print(section)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="per server and number of clients in a round")
    parser.add_argument("--slow", type=float, default=30, help="the same, for Flask")
    parser.add_argument("--case", nargs="*", default=["tiny CNN", "model that costs nothing", "exercise's network"])
    return parser.parse_args()


def make_cases(folder: Path) -> Iterator[Case]:
    """Every network, made in a folder when its turn comes."""
    small = (("tiny CNN", networks.tiny, (1, 8, 32)), ("model that costs nothing", networks.idle, (1, 32)))
    for name, made, clients in small:
        model = made(folder)
        path = f"/v2/models/{model.parent.name}/infer"
        yield Case(name, "image", model / "model.keras", model / "model.onnx", model, path, clients)
    demo = networks.demo(folder / "demo.keras")
    converted = networks.converted(demo, discover(demo)[0].card, folder / "exercise")
    yield Case("exercise's network", "audio", demo, converted, demo, "/predict", (8, 32))


def _competitors(case: Case, cache: Path) -> Iterator[Competitor]:
    common = {"COMPETITOR_MODEL": str(case.onnx), "COMPETITOR_KERAS": str(case.keras), "COMPETITOR_INPUT": case.kind}
    batch = {"COMPETITOR_BATCH": "32", "COMPETITOR_WAIT": "0.001"} if case.kind == "image" else {}
    yield Competitor(OVERHEAD, ("-m", "competitors.baseline_overhead"), {**common, "COMPETITOR_WORKERS": str(CORES)})
    gunicorn = ("-m", "gunicorn", "--workers", str(CORES), "--threads", "4", "--bind", "127.0.0.1:{port}")
    yield Competitor(FLASK, (*gunicorn, "competitors.flask_predict:app"), common)
    yield Competitor(THREADS, ("-m", "competitors.threads"), common)
    yield Competitor(LIT, ("-m", "competitors.lit"), common)
    yield Competitor(
        TUNED,
        ("-m", "competitors.lit"),
        {**common, **batch, "COMPETITOR_WORKERS": str(CORES), "COMPETITOR_THREADS": "1"},
    )
    bento = ("-m", "bentoml", "serve", "competitors.bento:Competitor", "--port", "{port}")
    yield Competitor(BENTO, bento, {**common, "COMPETITOR_WORKERS": str(CORES), "BENTOML_DO_NOT_TRACK": "true"})
    if case.kind == "image":
        mosec = ("-m", "competitors.mosec_server", "--port", "{port}", "--log-level", "error")
        workers = {"COMPETITOR_WORKERS": str(CORES)}
        yield Competitor(MOSEC, mosec, {**common, **workers})
        yield Competitor(BATCHES, mosec, {**common, **workers, **batch})
    serve = ("-m", "trigger_api", "serve", "--port", "{port}")
    models = {**OURS, "TRIGGER_API_MODELS": str(case.models), "TRIGGER_API_BUNDLED": "false"}
    yield Competitor(TENSORFLOW, serve, {**models, "TRIGGER_API_RUNTIME": "tensorflow"})
    yield Competitor(ONNX, serve, {**models, "TRIGGER_API_CACHE": str(cache), "TRIGGER_API_RUNTIME": "onnx"})
    if case.kind == "audio":
        yield Competitor(BUNDLED, serve, OURS)


@contextmanager
def all_up(case: Case, folder: Path, names: Collection[str] = ORDER) -> Iterator[dict[str, load.Request]]:
    """These servers, running and warm: the request that each is sent."""
    with ExitStack() as stack:
        requests = {}
        competitors = [each for each in _competitors(case, folder / "cache") if each.name in names]
        for number, competitor in enumerate(competitors):
            port = _PORT + number
            command = [part.format(port=port) for part in competitor.command]
            request = requests[competitor.name] = case.request(competitor.name, port)
            environment = {**competitor.environment, "COMPETITOR_PORT": str(port)}
            stack.enter_context(server(command, request.url, environment, HERE))
            _load_and_warm(request)
        yield requests


def _measured(case: Case, options: argparse.Namespace, folder: Path) -> str:
    with all_up(case, folder) as requests:
        runs = [_round(case, requests, options, folder, turn) for turn in range(options.rounds)]
    _chart(case, runs)
    return _report(case, runs, options)


def _load_and_warm(request: load.Request) -> None:
    """Until it answers; the first requests compile what was not compiled before."""
    for _ in range(_PATIENCE):
        if load.run(request, clients=4, seconds=1).latencies:
            return
        time.sleep(1)
    raise RuntimeError(f"{request.url} does not answer")


def _round(
    case: Case, requests: Mapping[str, load.Request], options: argparse.Namespace, folder: Path, turn: int
) -> Run:
    done = {}
    for clients in case.clients:
        for name, request in random.Random(turn).sample(sorted(requests.items()), len(requests)):  # noqa: S311
            seconds = options.slow if name == FLASK else options.seconds
            done[name, clients] = load.run(request, clients=clients, seconds=seconds)
            print(case.name, name, clients, f"{done[name, clients].rate:.1f}/s", flush=True)
    done[UPPER_BOUND, max(case.clients)] = _upper_bound(case, options, folder)
    return done


def _upper_bound(case: Case, options: argparse.Namespace, folder: Path) -> load.LoadResult:
    body = folder / "body"
    body.write_bytes(case.body)
    command = [
        sys.executable,
        "-m",
        "competitors.upper_bound",
        case.kind,
        str(case.onnx),
        str(body),
        str(options.seconds),
        str(CORES),
    ]
    rate = float(subprocess.run(command, cwd=HERE, capture_output=True, check=True, text=True).stdout)
    return load.LoadResult(1.0, [1 / rate] * round(rate))


def _report(case: Case, runs: list[Run], options: argparse.Namespace) -> str:
    lines = [
        f"## Compared with competitors: {case.name}",
        "",
        f"`python benchmarks/compare.py`: {len(runs)} rounds of {options.seconds:g} s ({options.slow:g} s "
        f"for Flask) on {CORES} cores, all servers up at once and in another order each round, medians. "
        f'"Ours, times": how often `{ONNX}` answers in the time that the server answers once, the median over rounds '
        "(least, most).",
        "",
        f"![requests a second](compare-{_slug(case)}.png)",
        "",
        *table(case, runs),
        "",
    ]
    return "\n".join(lines)


def table(case: Case, runs: list[Run]) -> list[str]:
    """A row for each server that was measured."""
    columns = [f"{clients} at once: requests/s | ours, times | p50 | p99" for clients in case.clients]
    return [
        f"| server | {' | '.join(columns)} | failed |",
        f"|---|{'---|' * (4 * len(columns))}---|",
        *(_row(name, case, runs) for name in _names(runs)),
    ]


def _names(runs: list[Run]) -> list[str]:
    """All that were measured, in one order whatever order they were measured in."""
    return [name for name in ORDER if any(name == known for known, _ in runs[0])]


def _row(name: str, case: Case, runs: list[Run]) -> str:
    failed = sum(len(one.failures) for run in runs for (server, _), one in run.items() if server == name)
    return f"| {name} | {' | '.join(_cells(name, clients, runs) for clients in case.clients)} | {failed} |"


def _cells(name: str, clients: int, runs: list[Run]) -> str:
    if (name, clients) not in runs[0]:
        return " |  |  | "
    own = [run[name, clients] for run in runs]
    ratios = [run[ONNX, clients].rate / one.rate for run, one in zip(runs, own, strict=True)]
    p50, p99 = (statistics.median(one.percentile(share) for one in own) for share in (0.5, 0.99))
    times = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})"
    return f"{_rate(own):.1f} | {times} | {p50:.1f} ms | {p99:.1f} ms"


def _rate(loads: list[load.LoadResult]) -> float:
    return statistics.median(one.rate for one in loads)


def _chart(case: Case, runs: list[Run]) -> None:
    names = _names(runs)
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for number, clients in enumerate(case.clients):
        known = [k for k, name in enumerate(names) if (name, clients) in runs[0]]
        rates = [_rate([run[names[k], clients] for run in runs]) for k in known]
        axes.barh([k + 0.25 * (number - 1) for k in known], rates, 0.25, label=f"{clients} clients")
    axes.set(xscale="log", xlabel="requests a second", title=case.name)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(HERE / f"compare-{_slug(case)}.png", dpi=100)
    plt.close(figure)


def _slug(case: Case) -> str:
    return case.name.replace("'", "").replace(" ", "-").lower()


def _as_tensor(body: bytes) -> bytes:
    side = networks.SIDE
    tensor = {"name": "image", "shape": [1, side, side, 1], "datatype": "FP32", "data": json.loads(body)["image"]}
    return json.dumps({"inputs": [tensor]}).encode()


if __name__ == "__main__":
    main()
