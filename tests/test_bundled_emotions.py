from __future__ import annotations

import numpy as np
import pytest

from trigger_api.datasets.fer2013 import LABELS
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.registry import BUNDLED
from trigger_api.runtimes import LoadOptions, load

MAX_MEGABYTES = 12


@pytest.mark.parametrize("name", ["inception-resnet", "mobilenetv2", "yolo3"])
def test_a_bundled_model_is_measured_and_works(name: str) -> None:
    folder = BUNDLED / "emotions" / name / "1"
    card = read_card(folder)
    measured = card.figures["FER2013 PublicTest"]
    assert isinstance(measured, dict)
    assert measured["faces"] == 3_589
    assert card.labels == LABELS
    assert (folder / WEIGHTS_FILE).stat().st_size < MAX_MEGABYTES * 1e6
    (spec,) = card.inputs
    answer = load(folder, card, LoadOptions()).compile(card.inputs, 1)(
        {"image": np.full((1, *spec.shape), 90, np.uint8)}
    )
    assert {output.name: (1, *output.shape) for output in card.outputs} == {k: v.shape for k, v in answer.items()}
    probabilities = answer["emotions" if "emotions" in answer else "probabilities"]
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-4)
