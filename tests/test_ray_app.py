"""The application on a local cluster of Ray with three nodes, two of which compute."""

from __future__ import annotations

import json
import socket
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from helpers.running import serving
from trigger_api.app import create_app
from trigger_api.registry import BUNDLED
from trigger_api.settings import Settings

pytest.importorskip("ray", reason="the extra ray is not installed; it is too large for CI")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SAMPLE = Path(__file__).parents[1] / "samples" / "activate.wav"
STORE = 100 * 2**20  # bytes; the smallest that Ray allows is 75 MiB
DIGIT = {"name": "digits", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": [0.5] * 784}


def settings() -> Settings:
    models = (BUNDLED / "digits", BUNDLED / "trigger")
    return Settings(models=models, bundled=False, auth="open", log_level="error", database_url="none")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
    )
    made.workers = [made.add_node(num_cpus=4, object_store_memory=STORE) for _ in range(2)]
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def url(cluster: Any) -> Iterator[str]:
    import ray
    from ray import serve

    from trigger_api import ray_app

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    two = {"min_replicas": 2, "max_replicas": 2}
    serve.run(ray_app.build(settings(), scaling=two), name="trigger_api", route_prefix="/")
    url = f"http://127.0.0.1:{port}"
    give_up = time.monotonic() + 120
    while not all(httpx.get(f"{url}/health/ready", timeout=30).status_code == 200 for _ in range(8)):
        assert time.monotonic() < give_up
        time.sleep(0.5)
    yield url
    serve.shutdown()
    ray.shutdown()


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """The same application on this machine alone."""
    with serving(create_app(settings()), 60) as address:
        yield f"http://{address}"


def trigger(url: str) -> Any:
    answer = httpx.post(f"{url}/v1/trigger", files={"audio": SAMPLE.read_bytes()}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def infer(client: httpx.Client, url: str) -> httpx.Response:
    return client.post(f"{url}/v2/models/mnist/infer", json={"inputs": [DIGIT]})


def stream(url: str) -> list[Any]:
    with wave.open(str(SAMPLE)) as audio:
        rate, frames = audio.getframerate(), audio.readframes(audio.getnframes())
    with connect(f"{url.replace('http', 'ws')}/v1/trigger/stream?room=r&rate={rate}") as channel:
        for start in range(0, len(frames), rate // 5):
            channel.send(frames[start : start + rate // 5])
            time.sleep(0.02)
        channel.send('{"type": "stop"}')
        return [json.loads(message) for message in channel]


def test_requests_are_answered_as_on_one_machine(url: str, plain: str) -> None:
    assert trigger(url) == trigger(plain)
    with httpx.Client(timeout=60) as client:
        found, expected = (infer(client, each).json()["outputs"][0]["data"] for each in (url, plain))
        assert found == pytest.approx(expected, abs=1e-5)
        error = infer(client, url + "/nix")
        assert (error.status_code, error.json()["title"]) == (404, "Not Found")
        names = [[each["name"] for each in client.get(f"{one}/v1/models").json()] for one in (url, plain)]
        assert names[0] == names[1]


def test_streams_are_heard_as_on_one_machine(url: str, plain: str) -> None:
    found, expected = ([message for message in stream(each) if message["type"] == "detection"] for each in (url, plain))
    assert [message["time_ms"] for message in found] == [message["time_ms"] for message in expected] != []


def test_requests_go_on_when_a_node_is_lost(cluster: Any, url: str) -> None:
    """Only what the lost node itself was answering may fail, and only for a moment."""
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                statuses.append(infer(client, url).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    before = len(statuses)
    cluster.remove_node(cluster.workers[0], allow_graceful=False)
    time.sleep(15)
    lately = len(statuses)
    time.sleep(5)
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses[:before] == [200] * before
    assert sum(status != 200 for status in statuses) <= len(threads)
    assert statuses[lately:].count(200) == len(statuses) - lately > 0
