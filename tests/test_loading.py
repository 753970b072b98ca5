from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers.beep import BACKBONE, BeepModel, embedding_card, plain_card, trigger_card
from trigger_api.loading import LoadingStoppedError, Model, ModelLoader, check_backbone
from trigger_api.model_card import Limits, ModelCard, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import CompiledFunction, Tensors


def load(card: ModelCard, network: BeepModel | None = None, limits: Limits | None = None) -> Model:
    loader = ModelLoader(lambda path, card: network or BeepModel(), Metrics(), lambda card: limits or card.limits, {})
    return loader.load("beep", Path(), card)


def sizes(model: Model) -> dict[int, list[int]]:
    return {length: list(queue.functions) for length, queue in model.queues.items()}


def test_a_model_without_variable_dimensions_has_one_queue() -> None:
    card = plain_card(inputs=(TensorSpec(name="features", shape=(8, 40)),), sequence_lengths=())
    model = load(card)
    assert list(model.queues) == [0]
    assert model.queue is model.queues[0]


def test_limits_in_force_may_differ_from_the_card() -> None:
    network = BeepModel()
    load(plain_card(), network, Limits(batch_sizes=(1,), stream_batch_sizes=(1,)))
    assert network.batches == [1, 1]


def test_windows_of_live_streams_have_sizes_of_their_own() -> None:
    limits = Limits(batch_sizes=(1,), stream_batch_sizes=(1, 16))
    spec, state = TensorSpec(name="features", shape=(-1, 40)), TensorSpec(name="state", shape=(1,))
    plain = plain_card("plain", inputs=(spec, state), limits=limits)  # a state alone makes no stream
    assert sizes(load(plain)) == {8: [1], 64: [1]}
    assert sizes(load(trigger_card(limits=limits))) == {3: [1, 16], 10: [1]}
    assert sizes(load(embedding_card(limits=limits))) == {8: [1, 16], 64: [1]}


def test_assets_belong_to_the_task() -> None:
    assets = {"trigger": lambda path, card: card.name, "digits": lambda path, card: "others"}
    loader = ModelLoader(lambda path, card: BeepModel(), Metrics(), lambda card: card.limits, assets)
    assert loader.load("beep", Path(), plain_card("beep")).assets == "beep"


def test_a_loader_that_is_stopped_compiles_nothing() -> None:
    network = BeepModel()
    loader = ModelLoader(lambda path, card: network, Metrics(), lambda card: card.limits, {})
    loader.stopped = True
    with pytest.raises(LoadingStoppedError):
        loader.load("beep", Path(), plain_card())
    assert network.batches == []


def test_a_function_that_takes_any_shape_runs_at_two_of_them() -> None:
    shapes: list[tuple[int, ...]] = []

    class AnyShape:
        def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
            return self.run

        def run(self, tensors: Tensors) -> Tensors:
            shapes.append(tensors["features"].shape)
            return {}

    loader = ModelLoader(lambda path, card: AnyShape(), Metrics(), lambda card: card.limits, {})
    loader.load("beep", Path(), plain_card())
    assert shapes == [(1, 8, 40), (1, 64, 40)]


class TestBackbone:
    def test_a_head_needs_its_backbone(self) -> None:
        with pytest.raises(ValueError, match=f"no such backbone: {BACKBONE}; available: other"):
            check_backbone(trigger_card(), [embedding_card().model_copy(update={"name": "other"})])

    def test_its_embeddings_must_fit(self) -> None:
        wide = trigger_card().model_copy(update={"inputs": (TensorSpec(name="embeddings", shape=(-1, 96)),)})
        with pytest.raises(ValueError, match=f"size 96, but those of backbone {BACKBONE} have 2"):
            check_backbone(wide, [embedding_card()])

    def test_other_models_need_none(self) -> None:
        check_backbone(plain_card(), [])
