"""The optional dependencies in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from trigger_api.cli.console import _EXTRAS

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {
    "grpc": "grpcio", "grpc_health": "grpcio-health-checking", "grpc_reflection": "grpcio-reflection",
    "opentelemetry": "opentelemetry-sdk",
}  # fmt: skip
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def packages(extra: str) -> list[str]:
    """The packages of an extra and of the extras that it refers to."""
    found: list[str] = []
    for requirement in EXTRAS[extra]:
        own = re.fullmatch(r"trigger-api\[([\w,-]+)\]", requirement)
        inner = [name for each in own[1].split(",") for name in packages(each)] if own else []
        found += inner or re.findall(r"^[\w-]+", requirement)
    return found


@pytest.mark.parametrize(("module", "extra"), _EXTRAS.items())
def test_an_extra_has_the_package_that_a_command_misses(module: str, extra: str) -> None:
    assert DISTRIBUTIONS.get(module, module.replace("_", "-")) in packages(extra)


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_names_a_package_once(extra: str) -> None:
    assert all(first != second for first, second in pairwise(sorted(packages(extra))))


@pytest.mark.parametrize("module", ["matplotlib", "pocketsphinx", "pycocotools"])
def test_every_measurement_runs_with_the_extra_evaluate(module: str) -> None:
    assert module in packages("evaluate")


@pytest.mark.parametrize("module", ["safetensors", "seqeval"])
def test_no_test_is_skipped_for_a_package_that_the_extra_test_lacks(module: str) -> None:
    assert module in packages("test")


def test_uvicorn_has_an_upper_bound() -> None:
    (uvicorn,) = [requirement for requirement in PROJECT["dependencies"] if requirement.startswith("uvicorn")]
    assert ",<" in uvicorn
