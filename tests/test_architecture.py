from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [("trigger_api.settings", {"fastapi", "numpy"}), ("trigger_api.tasks", {"fastapi", "tensorflow", "onnxruntime"})],
)
def test_importing_a_floor_does_not_load_the_ones_above(module: str, absent: set[str]) -> None:
    script = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not absent & set(loaded)
