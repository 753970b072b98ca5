from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from trigger_api.cli.main import app
from trigger_api.training.objects.recipe import interpolate_weights


class Weights:
    """In place of a network: one number."""

    def __init__(self, value: float) -> None:
        self.value = np.array(value, np.float32)

    def get_weights(self) -> list[NDArray[np.float32]]:
        return [self.value]

    def set_weights(self, weights: list[NDArray[np.float32]]) -> None:
        (self.value,) = weights


@pytest.mark.parametrize(("best", "kept"), [(0.0, 1.0), (0.4, 2.0), (0.9, 3.0)])
def test_the_weights_that_validate_best_are_kept(best: float, kept: float) -> None:
    network, lines = Weights(3.0), list[str]()
    start = [np.array(1.0, np.float32)]
    interpolate_weights(network, start, lambda: 20 - abs(float(network.value) - 1 - 2 * best), lines.append)
    assert network.value == kept
    assert f"{(kept - 1) / 2:.0%} is kept" in lines[0]


def test_a_file_other_than_a_network_is_refused(tmp_path: Path) -> None:
    for name in ("labels.json", "published.onnx"):
        (tmp_path / name).write_bytes(b"\xff\xffnothing")
    folders = {"photos": tmp_path, "unlabelled": tmp_path, "out": tmp_path / "m" / "1", "work": tmp_path / "work"}
    files = {"labels": tmp_path / "labels.json", "published": tmp_path / "published.onnx"}
    options = [text for name, path in {**folders, **files}.items() for text in (f"--{name}", str(path))]
    result = CliRunner().invoke(app, ["train", "objects", *options])
    assert result.exit_code == 2
    assert "published.onnx is not an ONNX file" in result.output
