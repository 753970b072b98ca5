"""Our networks compared with the package's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trigger_api.training.faces.network import build_onet, build_pnet, build_rnet


@pytest.fixture(scope="module")
def stages() -> list[Any]:
    from mtcnn import MTCNN

    return list(MTCNN().stages)


def pixels(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


@pytest.mark.parametrize("size", [(50, 64), (51, 63), (12, 12), (13, 30)])
def test_proposals_are_the_published_ones(stages: list[Any], size: tuple[int, int]) -> None:
    photo = pixels(1, *size, 3)
    offsets, scores = stages[0].model((photo - 127.5) / 128)
    canvas = pixels(1, 4, 64, 64)
    canvas[:, 3] = 0
    height, width = size
    canvas[:, :3, :height, :width] = photo.transpose(0, 3, 1, 2)
    canvas[:, 3, height : height + height % 2, : width + width % 2] = 255
    canvas[:, 3, :height, width : width + width % 2] = 255
    found = build_pnet(stages[0].model.get_weights())(canvas)
    rows, columns = scores.shape[1:3]
    assert found["scores"].numpy()[:, :rows, :columns] == pytest.approx(scores[..., 1].numpy(), abs=1e-5)
    assert found["offsets"].numpy()[0, :, :rows, :columns] == pytest.approx(
        offsets[0].numpy().transpose(2, 0, 1), abs=1e-5
    )


def test_crops_are_scored_as_published(stages: list[Any]) -> None:
    for stage, build, side in ((stages[1], build_rnet, 24), (stages[2], build_onet, 48)):
        crops = pixels(6, 3, side, side)
        offsets, *landmarks, scores = stage.model((crops.transpose(0, 2, 3, 1) - 127.5) / 128)
        found = build(stage.model.get_weights(), 3)(crops.reshape(2, 3, 3, side, side))
        assert found["scores"].numpy().reshape(-1) == pytest.approx(scores[:, 1].numpy(), abs=1e-5)
        assert found["offsets"].numpy().reshape(-1, 4) == pytest.approx(offsets.numpy(), abs=1e-5)
        for points in landmarks:
            assert found["landmarks"].numpy().reshape(-1, 10) == pytest.approx(points.numpy(), abs=1e-5)


def test_slopes_above_one_are_refused_after_the_first_layer(stages: list[Any]) -> None:
    weights = stages[0].model.get_weights()
    weights[5] = weights[5] + 2
    with pytest.raises(ValueError, match="slope"):
        build_pnet(weights)
