"""The lock files in requirements/, and who uses them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = sorted(path for path in (ROOT / "requirements").glob("*.txt") if path.name != "advisories.txt")


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements if "trigger-api[" not in requirement)
    return {re.sub(r"[._-]+", "-", match[0]).lower() for match in found if match}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.name))
def test_a_lock_names_every_package_of_its_extras_and_no_host(lock: Path) -> None:
    header, *lines = lock.read_text(encoding="utf-8").splitlines()
    listed = re.search(r"for: ([\w ]+)\.", header)
    assert listed
    wanted = [*PROJECT["dependencies"]]
    for extra in listed[1].split():
        wanted += PROJECT["optional-dependencies"][extra]
    assert names(wanted) <= names([line for line in lines if "==" in line])
    assert not [line for line in lines if "://" in line or line.startswith(("-", "/"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.name))
def test_every_version_in_a_lock_is_exact_and_has_hashes(lock: Path) -> None:
    pinned = re.split(r"\n(?=\w)", lock.read_text(encoding="utf-8").partition("\n")[2])
    assert len(pinned) > 50
    assert all(re.match(r"[\w.-]+==\S+.*(\\\n +--hash=sha256:[0-9a-f]{64} ?)+$", each.strip()) for each in pinned)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.name))
def test_no_version_in_a_lock_has_a_hole_that_is_known(lock: Path) -> None:
    pinned = dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
    lines = (ROOT / "requirements" / "advisories.txt").read_text(encoding="utf-8").splitlines()
    known = [Requirement(line.partition("#")[0]) for line in lines if line[0] != "#"]
    assert any(each.name in pinned for each in known)
    assert [each for each in known if each.name in pinned and pinned[each.name] not in each.specifier] == []


def test_the_container_and_ci_install_from_the_locks() -> None:
    assert "--require-hashes -r requirements/container.txt" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements/ci.txt" in (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert 'LOCKED: "1"' in workflow
    declared = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)}
    assert set(re.findall(r'"(3\.\d+)"', workflow)) == declared
