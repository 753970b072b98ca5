"""Converts models in a process of its own, so that the one that serves never imports TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import structlog
from filelock import FileLock

from trigger_api.model_card import CONVERTED_FILE

_REFUSED_FILE = "refused.txt"
_REFUSED = 2  # the command's exit code for a model that cannot be converted
_TIMEOUT_S = 900
_log = structlog.get_logger(__name__)


def possible() -> bool:
    """Whether the packages are installed that convert."""
    return all(find_spec(name) for name in ("tensorflow", "keras", "onnx", "tf2onnx"))


def convert(path: Path, folder: Path) -> bool:
    """Convert a model into a folder, unless another process has done so meanwhile.

    Returns:
        Whether the conversion is there. If it is refused, the reason is kept in the folder, and not tried again.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return (folder / CONVERTED_FILE).exists() or _convert(path, folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("model could not be converted", model=str(path), reason=str(error))
        return False


def _convert(path: Path, folder: Path) -> bool:
    if (folder / _REFUSED_FILE).exists():
        return False
    _log.info("converting a model for ONNX Runtime, once", model=str(path))
    command = [sys.executable, "-m", "trigger_api", "convert", str(path.resolve()), "--out", str(folder.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        _log.warning("model could not be converted", model=str(path), reason=reason)
    if done.returncode == _REFUSED:
        (folder / _REFUSED_FILE).write_text(done.stderr, encoding="utf-8")
    return not done.returncode
