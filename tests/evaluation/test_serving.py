from __future__ import annotations

import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from trigger_api.errors import ServiceError
from trigger_api.evaluation.serving import score_items, serving
from trigger_api.model_card import WEIGHTS_FILE, Limits, ModelCard, TensorSpec, write_card
from trigger_api.scheduler import Tensors
from trigger_api.tasks.raw import Raw


@pytest.fixture(scope="module")
def doubler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose network doubles two numbers."""
    folder = tmp_path_factory.mktemp("doubler") / "1"
    folder.mkdir()
    numbers = layers.Input((2,), name="numbers")
    keras.Model({"numbers": numbers}, {"doubled": layers.Rescaling(2.0)(numbers)}).save(folder / WEIGHTS_FILE)
    write_card(
        folder,
        ModelCard(
            task="emotions",
            name="doubler",
            version="1",
            inputs=(TensorSpec(name="numbers", shape=(2,)),),
            outputs=(TensorSpec(name="doubled", shape=(2,)),),
            limits=Limits(batch_sizes=(1, 2), queue=1, deadline_s=1e-6),
        ),
    )
    return folder


def items(count: int) -> list[Tensors]:
    return [{"numbers": np.full(2, number, np.float32)} for number in range(count)]


@pytest.mark.parametrize("batch", [None, 4])
def test_a_served_model_computes_batches_of_any_size(doubler: Path, batch: int | None) -> None:
    before = threading.active_count()
    with serving(doubler, batch=batch) as served:
        assert served.card.name == "doubler"
        outputs = served({"numbers": np.ones((5, 2), np.float32)})
        assert outputs["doubled"].tolist() == [[2, 2]] * 5
        doubled = [output["doubled"][0] for output in score_items(served, items(7), 3)]
        assert doubled == [0, 2, 4, 6, 8, 10, 12]
        with pytest.raises(ServiceError, match="missing"):
            served({})
    assert threading.active_count() == before, "the service was not closed"


def test_a_task_answers_in_order(doubler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def predict(self: Raw, number: int) -> int:
        return 2 * number

    monkeypatch.setattr(Raw, "predict", predict)
    with serving(doubler) as served:
        assert served.predict(Raw, 21) == 42
        assert list(served.predict_all(Raw, range(20))) == list(range(0, 40, 2))


def test_items_are_scored_in_batches_of_one_size() -> None:
    sizes = []

    def score(tensors: Tensors) -> Tensors:
        sizes.append(len(tensors["numbers"]))
        return {"same": tensors["numbers"]}

    assert [output["same"][0] for output in score_items(score, items(7), 3)] == list(range(7))
    assert sizes == [3, 3, 3]
    assert list(score_items(score, [], 3)) == []


def test_what_cannot_be_served_is_an_error(doubler: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model"), serving(tmp_path):
        pass
    (tmp_path / WEIGHTS_FILE).write_bytes(b"nothing")
    (tmp_path / "card.json").write_bytes((doubler / "card.json").read_bytes())
    with pytest.raises(ValueError, match="doubler cannot be loaded"), serving(tmp_path):
        pass
