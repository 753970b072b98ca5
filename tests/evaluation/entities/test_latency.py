from pathlib import Path

import pytest

from helpers.tiny_ner import PlaceModel, add_tiny_ner
from trigger_api import service
from trigger_api.evaluation.entities.latency import time_entities


def test_a_lone_text_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_tiny_ner(tmp_path / "1")
    monkeypatch.setattr(service, "load", lambda *_, **__: PlaceModel())
    timed = time_entities(tmp_path / "1", "I love Paris.", rounds=20)
    assert 0 < timed["p50_ms"] <= timed["p95_ms"]
