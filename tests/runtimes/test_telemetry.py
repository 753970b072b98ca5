"""The service tells nobody what it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trigger_api.registry import BUNDLED

pytest.importorskip("onnxruntime")

LOAD = """
import sys
from pathlib import Path
from trigger_api.model_card import read_card
from trigger_api.runtimes import LoadOptions, load
folder = Path(sys.argv[1])
load(folder, read_card(folder), LoadOptions(kind="onnx"))
"""


def test_onnx_runtime_makes_no_identifier_to_report_with(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    known = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", LOAD, str(BUNDLED / "faces" / "mtcnn-pnet" / "1")]
    subprocess.run(command, check=True, env={**known, **home})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
