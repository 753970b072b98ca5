import os
import subprocess
from pathlib import Path

import pytest
from fastapi import FastAPI

from helpers.running import serving

CHECK = Path(__file__).parents[1] / "kserve" / "check.py"
PYTHON = os.environ.get("KSERVE_PYTHON")  # kserve has 70 dependencies and pins of its own: `make kserve` installs it


@pytest.mark.skipif(PYTHON is None, reason="KSERVE_PYTHON does not name a Python that has kserve")
def test_the_kserve_client_infers(app: FastAPI) -> None:
    assert PYTHON is not None
    with serving(app) as address:
        done = subprocess.run(
            [PYTHON, str(CHECK), f"http://{address}", "beep"], capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("beep {'scores': (1, 1)")
