"""The service as a process of its own: its start, a request of a gigabyte, and its end."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from helpers.beep import add_model, plain_card
from helpers.memory import resident_mib
from helpers.service_process import free_port
from trigger_api.model_card import CONVERTED_FILE, WEIGHTS_FILE
from trigger_api.registry import BUNDLED

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parent.parent / "samples" / "activate.wav"


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    port = free_port()
    command = [sys.executable, "-m", "trigger_api", "serve", "--port", str(port), *options]
    # The trigger model alone: each further one would take its time to load, again and again.
    trigger = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(BUNDLED / "trigger")}
    process = subprocess.Popen(command, env={**os.environ, **trigger, **environment}, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(process, client)
            yield process, client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    give_up = time.monotonic() + 180
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail("the service did not become ready")


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/trigger", files={"audio": SAMPLE.read_bytes()})


def maps_tensorflow(process: subprocess.Popen[bytes]) -> bool:
    return "tensorflow" in Path(f"/proc/{process.pid}/maps").read_text()


def test_a_recording_a_gigabyte_and_a_drain() -> None:
    with serving() as (process, client):
        assert ask(client).json()["timestamps"] == pytest.approx([2200], abs=120)

        before = resident_mib(process.pid, "VmHWM")
        assert send_gigabyte(client.base_url.host, client.base_url.port or 0) == 413
        assert resident_mib(process.pid, "VmHWM") - before < 64

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(ask, client) for _ in range(8)]
            wait_until_all_are_in(client, 8)
            process.send_signal(signal.SIGTERM)
            assert [answer.result().status_code for answer in answers] == [200] * 8
        process.wait(60)
        with pytest.raises(httpx.ConnectError):
            client.get("/health/live")


def test_every_bundled_model_is_served_without_tensorflow() -> None:
    with serving(TRIGGER_API_BUNDLED="true", TRIGGER_API_MODELS="", TRIGGER_API_WORKERS="1") as (process, client):
        found = client.post("/v1/entities", json={"text": "I love Paris"}).json()
        assert [entity["text"] for entity in found["entities"]] == ["Paris"]
        assert {model["state"] for model in client.get("/v1/models").json()} == {"ready"}
        assert not maps_tensorflow(process)
        assert resident_mib(process.pid) < 450


def test_a_keras_file_of_ones_own_is_converted_in_another_process(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    folder, cache = add_model(tmp_path / "models", plain_card()), tmp_path / "cache"
    features = keras.Input((None, 40), name="features")
    keras.Model(features, keras.layers.Dense(1, activation="sigmoid")(features)[..., 0]).save(folder / WEIGHTS_FILE)
    with serving(TRIGGER_API_MODELS=str(folder), TRIGGER_API_CACHE=str(cache), TRIGGER_API_WORKERS="1") as (process, _):
        assert not maps_tensorflow(process)
    assert [file.name for file in cache.glob("*/*.onnx")] == [CONVERTED_FILE]


def test_an_upload_that_is_held_does_not_hold_up_the_end() -> None:
    with serving(TRIGGER_API_DRAIN_S="600") as (process, client):
        connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
        connection.putrequest("POST", "/v1/trigger")
        connection.putheader("Content-Type", "multipart/form-data; boundary=x")
        connection.putheader("Content-Length", "100000")
        connection.endheaders(b"--x\r\n")
        wait_until_all_are_in(client, 0)  # it counts on one answered before
        process.send_signal(signal.SIGTERM)
        assert connection.getresponse().status == 503
        process.wait(60)  # a small part of what it may take for accepted requests


def send_gigabyte(host: str, port: int) -> int:
    """Send a body without a length, in pieces, until the server has had enough of it or it is all sent."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Transfer-Encoding": "chunked"}
    head = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
    megabyte = bytes(1024 * 1024)
    body = (part for part in [head, *[megabyte] * 1024])
    connection.request("POST", "/v1/trigger", body, headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


def wait_until_all_are_in(client: httpx.Client, count: int) -> None:
    """Until the server has all requests, or has answered them already."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        text = client.get("/metrics").text
        values = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line[0] != "#"}
        done = values.get('trigger_api_requests_total{method="POST",route="/v1/trigger",status="200"}', 0) - 1
        if values["trigger_api_requests_in_flight"] - 1 + done >= count:
            return


def test_workers_count_together() -> None:
    with serving("--workers", "2", TRIGGER_API_MAX_BATCH="1") as (_, client):
        for _ in range(10):
            with httpx.Client(base_url=client.base_url) as fresh:  # another connection, perhaps another worker
                assert fresh.get("/health/live").status_code == 200
        counted = {fetch_count(client) for _ in range(3)}
        assert counted == {10.0}


def fetch_count(client: httpx.Client) -> float:
    with httpx.Client(base_url=client.base_url) as fresh:
        text = fresh.get("/metrics").text
    line = 'trigger_api_requests_total{method="GET",route="/health/live",status="200"}'
    return float(next(row for row in text.splitlines() if row.startswith(line)).split()[1])
