from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from trigger_api.observability import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_name_the_request_that_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    log = structlog.get_logger("trigger_api.test")
    with logs.bind_request_id("first"):
        log.info("ours", n=1)
        logging.getLogger("other").warning("theirs")
    log.info("neither")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert [(line["event"], line.get("request_id")) for line in lines] == [
        ("ours", "first"),
        ("theirs", "first"),
        ("neither", None),
    ]
    assert lines[0]["n"] == 1


@pytest.mark.parametrize("value", [object(), "\ud800", {1: 2}, float("nan"), 2**70, {("a",): 1}, {3}, b"\xff"])
def test_any_value_is_logged(capsys: pytest.CaptureFixture[str], value: object) -> None:
    logs.configure("info")
    structlog.get_logger("trigger_api.test").info("ours", value=value)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert json.loads(line)["event"] == "ours"
