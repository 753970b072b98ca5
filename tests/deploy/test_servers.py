"""What people start out of habit serves as well as ``trigger-api serve``, from a wheel and outside of the checkout."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from helpers.service_process import await_ready, free_port
from trigger_api.registry import BUNDLED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "activate.wav"
BUILDPACK = "deploy/buildpack/start.sh"
PHOTO = ROOT / "src" / "trigger_api" / "web" / "static" / "samples" / "faces.jpg"
COMMANDS = {
    "uvicorn": "-m uvicorn trigger_api.app:app --port {port}",
    "uvicorn with a factory": "-m uvicorn trigger_api.app:create_app --factory --workers 2 --port {port}",
    "gunicorn": "-m gunicorn trigger_api.app:app --workers 2 --worker-class uvicorn_worker.UvicornWorker"
    " --bind 127.0.0.1:{port}",
    "gunicorn with uvicorn's own class": "-W ignore::DeprecationWarning -m gunicorn trigger_api.app:app"
    " --worker-class uvicorn.workers.UvicornWorker --bind 127.0.0.1:{port}",
}
TRIGGER_ALONE = {"TRIGGER_API_BUNDLED": "false", "TRIGGER_API_MODELS": str(BUNDLED / "trigger")}

Running = tuple[subprocess.Popen[bytes], str]


class Started:
    """Processes that are started at once, each with a folder to stand in and a port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: dict[str, Running] = {}

    def start(self, name: str, command: list[str], **environment: str) -> None:
        port = str(free_port())
        placed = [word.replace("{port}", port) for word in command]
        known = {**os.environ, "TRIGGER_API_DATABASE_URL": "none", "TRIGGER_API_LOG_LEVEL": "error"}
        process = subprocess.Popen(placed, cwd=self._folder, env={**known, "PORT": port, **environment})
        self.running[name] = (process, f"http://127.0.0.1:{port}")

    def wait(self) -> None:
        for process, url in self.running.values():
            await_ready(process, url)

    def stop(self) -> None:
        for process, _ in self.running.values():
            process.kill()
            process.wait()


def ask(url: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/trigger", files={"audio": SAMPLE.read_bytes()}, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    started = Started(tmp_path_factory.mktemp("elsewhere"))
    with ExitStack() as stack:
        stack.callback(started.stop)
        for name, command in COMMANDS.items():
            if "uvicorn_worker" not in command or find_spec("uvicorn_worker"):
                started.start(name, [sys.executable, *command.split()], **TRIGGER_ALONE)
        started.wait()
        yield started.running


@pytest.mark.parametrize("name", COMMANDS)
def test_a_habit_serves_and_ends(name: str, servers: dict[str, Running]) -> None:
    if name not in servers:
        pytest.skip("uvicorn-worker is not installed")
    process, url = servers[name]
    assert ask(url).json()["timestamps"] == pytest.approx([2200], abs=120)
    refused = ask(url, Host="service.example")  # nobody else is let in without a token, whatever is typed
    assert (refused.status_code, refused.headers["Content-Type"]) == (401, "application/problem+json")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with our wheel; what it depends on is this environment's."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("installed")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build: list[str | Path] = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run([*pip, *build], check=True)
    venv.create(folder / "environment", symlinks=True)
    (packages,) = (folder / "environment").glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "others.pth").write_text("\n".join(others), encoding="utf-8")
    python = str(folder / "environment" / "bin" / "python")
    install: list[str | Path] = [
        "--python",
        python,
        "install",
        "--no-deps",
        "--ignore-installed",
        *folder.glob("*.whl"),
    ]
    subprocess.run([*pip, *install], check=True)
    return folder / "environment" / "bin"


def test_a_wheel_serves_outside_of_the_checkout_as_a_host_with_buildpacks_starts_it(
    installed: Path, tmp_path: Path
) -> None:
    path = {"PATH": f"{installed}:{os.environ['PATH']}", "PYTHONPATH": ""}
    where = "import trigger_api; print(trigger_api.__file__)"
    found = subprocess.check_output([installed / "python", "-c", where], cwd=tmp_path, env={**os.environ, **path})
    assert found.decode().startswith(str(installed.parent))
    assert (ROOT / "Procfile").read_text("utf-8") == f"web: sh {BUILDPACK}\n"
    database = {"TRIGGER_API_DATABASE_URL": f"sqlite:///{tmp_path}/data.sqlite3"}
    started = Started(tmp_path)
    try:
        started.start("web", ["sh", str(ROOT / BUILDPACK)], TRIGGER_API_TOKENS="secret", **path, **database)
        started.wait()
        ((process, url),) = started.running.values()
        assert ask(url).status_code == 401
        with httpx.Client(base_url=url, headers={"X-Api-Token": "secret"}, timeout=60) as client:
            assert client.post("/v1/trigger", files={"audio": SAMPLE.read_bytes()}).json()["detected"]
            for task in ("emotions", "objects", "digits"):
                assert client.post(f"/v1/{task}", files={"image": PHOTO.read_bytes()}).status_code == 200
            assert client.post("/v1/entities", json={"text": "Ada in London"}).status_code == 200
        assert peak_mib(process) < 512
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        started.stop()


def peak_mib(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def test_the_page_shows_these_commands() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    shown = [shlex.join(line.split()) for line in page.splitlines() if line.startswith("    ")]
    for name in ("uvicorn", "uvicorn with a factory", "gunicorn"):
        command = COMMANDS[name].removeprefix("-m ").partition(" --port")[0].partition(" --bind")[0]
        assert any(line.startswith(command) for line in shown), command
