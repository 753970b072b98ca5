from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trigger_api.cli.main import app
from trigger_api.model_card import read_card
from trigger_api.registry import BUNDLED

PUBLISHED = Path(__file__).parents[4] / "shared/data/objects/yolox-nano/yolox_nano.onnx"


def test_a_file_other_than_a_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "published.onnx").write_bytes(b"\xff\xffnothing")
    options = ["--published", str(tmp_path / "published.onnx"), "--out", str(tmp_path / "m" / "1")]
    result = CliRunner().invoke(app, ["train", "objects", *options])
    assert result.exit_code == 2
    assert "published.onnx is not an ONNX file" in result.output


@pytest.mark.data
def test_the_command_writes_what_is_bundled(tmp_path: Path) -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published network is not here")
    out = tmp_path / "yolox-nano" / "1"
    result = CliRunner().invoke(app, ["train", "objects", "--published", str(PUBLISHED), "--out", str(out)])
    assert result.exit_code == 0, result.output
    bundled = read_card(BUNDLED / "objects" / "yolox-nano" / "1")
    assert read_card(out) == bundled.model_copy(update={"figures": {}, "sha256": read_card(out).sha256})
