"""Proves the Dockerfile where no container engine runs: its steps in a clean Debian root, then what they made.

    sudo python3 deploy/docker/check.py            # needs debootstrap, root, and the network for Debian and PyPI

Each stage begins with a copy of one Debian root with Python. RUN steps are run in it by ``chroot``, COPY steps copy
what git tracks. What results is started as the image's user, on a root that is mounted read-only with a ``/tmp`` of its
own, and has to detect a word.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "activate.wav"
PACKAGES = "ca-certificates,python3,python3-venv,python-is-python3"
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
TOKEN = "of-the-check"  # noqa: S105
SECONDS = 120


class Stage:
    """One stage of the build, in a folder of its own."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.user = "root"
        self.command: list[str] = []
        self.entrypoint: list[str] = []
        self._cwd = "/"
        run("cp", "-a", base, folder)

    def step(self, name: str, text: str, stages: dict[str, Stage]) -> None:
        """Carry out one instruction; those that are only for a container engine have none."""
        carry_out = getattr(self, f"_{name.lower()}", None)
        if carry_out:
            carry_out(text, stages)

    def chroot(self, *command: str) -> list[str]:
        """A command that runs within, as the stage's user and with its environment."""
        assignments = [f"{key}={value}" for key, value in self.environment.items()]
        home = "/root" if self.user == "root" else f"/home/{self.user}"
        user = [f"--userspec={self.user}:{self.user}"]
        return ["chroot", *user, str(self.folder), "env", "-i", f"HOME={home}", *assignments, *command]

    def _workdir(self, text: str, _: dict[str, Stage]) -> None:
        self._cwd = text
        self._path(text).mkdir(parents=True, exist_ok=True)

    def _env(self, text: str, _: dict[str, Stage]) -> None:
        for assignment in shlex.split(text):
            key, _equals, value = assignment.partition("=")
            self.environment[key] = re.sub(r"\$(\w+)", lambda found: self.environment[found[1]], value)

    def _user(self, text: str, _: dict[str, Stage]) -> None:
        self.user = text

    def _run(self, text: str, _: dict[str, Stage]) -> None:
        mirror = [f"{key}={value}" for key, value in os.environ.items() if key.startswith("PIP_")]
        run(*self.chroot("env", "-C", self._cwd, *mirror, "sh", "-ec", text))

    def _copy(self, text: str, stages: dict[str, Stage]) -> None:
        *sources, target = shlex.split(text)
        if sources[0].startswith("--from="):
            run("cp", "-a", stages[sources[0].partition("=")[2]].folder / sources[1].lstrip("/"), self._path(target))
            return
        for source in sources:
            self._copy_tracked(source, self._path(target))

    def _copy_tracked(self, source: str, target: Path) -> None:
        listed = subprocess.check_output(["git", "-C", ROOT, "ls-files", source], text=True)
        for name in listed.splitlines():
            inner = Path(name).relative_to(source) if name != source else Path(Path(name).name)
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / inner)

    def _entrypoint(self, text: str, _: dict[str, Stage]) -> None:
        self.entrypoint = json.loads(text)

    def _cmd(self, text: str, _: dict[str, Stage]) -> None:
        self.command = json.loads(text)

    def _path(self, within: str) -> Path:
        return self.folder / os.path.normpath(f"{self._cwd}/{within}" if within[0] != "/" else within).lstrip("/")


def steps() -> Iterator[tuple[str, str]]:
    """The instructions of the Dockerfile with their text."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def build(base: Path, folder: Path) -> Stage:
    """Carry out all steps; the last stage."""
    stages: dict[str, Stage] = {}
    stage = None
    for name, text in steps():
        print(f"{name} {text}", flush=True)
        if name == "FROM":
            title = text.partition(" AS ")[2] or "last"
            stage = stages[title] = Stage(base, folder / title)
        else:
            assert stage, "a Dockerfile begins with FROM"
            stage.step(name, text, stages)
    assert stage, "an empty Dockerfile"
    return stage


def make_base(folder: Path) -> Path:
    """A clean Debian root with Python, in place of the image that the Dockerfile names."""
    base = folder / "base"
    run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "stable", base, quiet=True)
    shutil.copy("/etc/resolv.conf", base / "etc" / "resolv.conf")
    if (Path("/") / CERTIFICATES).exists():  # this machine's, where a proxy has its own
        shutil.copy(Path("/") / CERTIFICATES, base / CERTIFICATES)
    return base


def check(stage: Stage) -> None:
    """Start what was built, on a root that nobody can write to, and ask it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stage.environment |= {
        "TRIGGER_API_TOKENS": TOKEN, "TRIGGER_API_PORT": str(port), "TRIGGER_API_DATABASE_URL": "none",
    }  # fmt: skip
    inside = shlex.join(stage.chroot(*stage.entrypoint, *stage.command))
    folder = shlex.quote(str(stage.folder))
    script = (
        f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && "
        f"mount -t tmpfs tmpfs {folder}/tmp && mount -t proc proc {folder}/proc && exec {inside}"  # noqa: S108
    )
    # Mounts and process are in namespaces of their own: both end with it.
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        _await_ready(process, port)
        print(_ask(port), f"user {_user_of(stage.folder)}, {_resident_mib(stage.folder):.0f} MiB resident", sep="\n")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_ready(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready").close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit("it did not become ready")


def _ask(port: int) -> str:
    url = f"http://127.0.0.1:{port}/v1/trigger"
    curl = ["curl", "-sS", "--fail-with-body", "-H", f"X-Api-Token: {TOKEN}", "-F", f"audio=@{SAMPLE}", url]
    answer = json.loads(subprocess.check_output(curl))
    assert answer["detected"], answer
    return f"it detects {answer['words'][0]['word']!r} at {answer['timestamps']} ms"


def _inside(folder: Path) -> Iterator[Path]:
    """The processes whose root is this folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "root").readlink() == folder:
                yield process
        except OSError:
            continue


def _user_of(folder: Path) -> int:
    users = {process.stat().st_uid for process in _inside(folder)}
    assert users, "nothing runs"
    assert 0 not in users, "it runs as root"
    return users.pop()


def _resident_mib(folder: Path) -> float:
    status = [(process / "status").read_text() for process in _inside(folder)]
    return sum(int(found[1]) for text in status if (found := re.search(r"VmRSS:\s+(\d+)", text))) / 1024


def size_mib(*folders: Path) -> int:
    """The size of folders on the disk."""
    return sum(int(run("du", "-sm", folder, quiet=True).split()[0]) for folder in folders)


def run(*command: str | Path, quiet: bool = False) -> str:
    """Run a command; its output is shown unless it succeeds quietly."""
    done = subprocess.run(command, stdout=subprocess.PIPE if quiet else None, text=True, check=False)
    if done.returncode:
        sys.exit(f"failed: {command[0]}\n{(done.stdout or '')[-4000:]}")
    return done.stdout or ""


def main() -> None:
    """Build, start, ask, and say the sizes."""
    with tempfile.TemporaryDirectory(prefix="trigger-api-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        base = make_base(folder)
        stage = build(base, folder)
        check(stage)
        print(f"{size_mib(stage.folder)} MiB with a Debian root of {size_mib(base)} MiB")


if __name__ == "__main__":
    main()
