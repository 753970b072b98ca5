from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trigger_api.cli.main import app
from trigger_api.model_card import read_card, weights
from trigger_api.registry import BUNDLED
from trigger_api.repository import discover
from trigger_api.runtimes import digest, onnx_runtime


@pytest.mark.slow
def test_the_command_writes_what_is_bundled(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "faces", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    entries = discover(tmp_path)
    assert [entry.card.name for entry in entries] == ["mtcnn-onet", "mtcnn-pnet", "mtcnn-rnet"]
    for entry in entries:
        bundled = read_card(BUNDLED / "faces" / entry.path.relative_to(tmp_path))
        own = {"sha256", "figures"}
        assert entry.card.model_dump(exclude=own) == bundled.model_dump(exclude=own)
        assert onnx_runtime.find(
            [entry.path], entry.card, digest(entry.path), weights=weights(entry.path)[0], threads=1
        )
