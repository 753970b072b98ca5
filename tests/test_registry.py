from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from helpers.beep import BACKBONE, BeepModel, add_model, plain_card, trigger_card
from trigger_api.errors import NotReady, UnknownModel
from trigger_api.model_card import WEIGHTS_FILE, ModelCard, TensorSpec
from trigger_api.observability import memory
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Loader, ModelVersion, Registry, State
from trigger_api.repository import discover
from trigger_api.runtimes import LoadedModel
from trigger_api.scheduler import BatchQueue, CompiledFunction, Scheduler


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler(threads=1)
    yield made
    made.close(grace=5)


def make_registry(root: Path, scheduler: Scheduler, loader: Loader | None = None) -> Registry:
    network = BeepModel()
    return Registry(discover(root), loader or (lambda path, card: network), scheduler, Metrics())


def queues(scheduler: Scheduler) -> list[BatchQueue]:
    return scheduler._queues


class TestLoad:
    def test_every_batch_size_answers_before_the_model_is_ready(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, plain_card())
        network = BeepModel()
        registry = make_registry(tmp_path, scheduler, lambda path, card: network)
        assert not registry.ready
        registry.load_all()
        assert registry.ready
        assert sorted(network.batches) == [1, 1, 2, 2, 4, 4]  # two window lengths, three sizes

    def test_a_broken_model_is_marked_and_the_rest_serve(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, plain_card("alarm"))
        add_model(tmp_path, plain_card("beep"))

        def load(path: Path, card: ModelCard) -> LoadedModel:
            if card.name == "alarm":
                raise OSError("the disk is gone")
            return BeepModel()

        registry = make_registry(tmp_path, scheduler, load)
        with capture_logs() as logs:
            registry.load_all()
        assert not registry.ready
        broken = registry.find("trigger", "alarm")
        assert (broken.state, broken.reason) == (State.FAILED, "OSError: the disk is gone")
        assert "model failed to load" in [line["event"] for line in logs]
        with registry.acquire("trigger", "beep"):
            pass
        with pytest.raises(NotReady, match="trigger/alarm/1 failed to load"), registry.acquire("trigger", "alarm"):
            pass

    def test_a_version_is_not_ready_until_it_is_loaded(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, plain_card())
        registry = make_registry(tmp_path, scheduler)
        with pytest.raises(NotReady, match="trigger/beep/1 is not loaded yet") as refused, registry.acquire("trigger"):
            pass
        assert refused.value.retry_after == 2

    def test_weights_must_be_the_ones_on_the_card(self, tmp_path: Path, scheduler: Scheduler) -> None:
        digest = hashlib.sha256(b"weights").hexdigest()
        folder = add_model(tmp_path, plain_card(sha256=digest), b"weights")
        registry = make_registry(tmp_path, scheduler)
        registry.load_all()
        assert registry.ready
        (folder / WEIGHTS_FILE).write_bytes(b"others")
        registry.load(registry.versions[0])
        assert registry.ready  # the old weights still serve
        assert "SHA-256 differs" in registry.versions[0].reason

    def test_several_versions_are_loaded_at_once(self, tmp_path: Path, scheduler: Scheduler) -> None:
        together = threading.Barrier(2)

        def load(path: Path, card: ModelCard) -> BeepModel:
            together.wait(10)
            return BeepModel()

        for name in ("first", "second"):
            add_model(tmp_path, plain_card(name))
        registry = Registry(discover(tmp_path), load, scheduler, Metrics(), loaders=2)
        registry.load_all()
        assert registry.ready

    def test_closing_ends_a_load_between_two_batch_sizes(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, plain_card())
        network = BeepModel()
        registry = make_registry(tmp_path, scheduler, lambda path, card: network)
        real = network.compile

        def compile_once(specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
            registry.close()
            return real(specs, batch)

        network.compile = compile_once  # type: ignore[method-assign]
        registry.load_all()
        assert len(network.batches) == 1
        assert queues(scheduler) == []

    def test_a_closed_registry_is_not_ready_and_loads_no_more(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, plain_card())
        registry = make_registry(tmp_path, scheduler)
        registry.close()
        registry.load_all()
        assert registry.versions[0].state is State.FOUND
        assert not registry.ready


class TestSwap:
    @pytest.fixture
    def registry(self, tmp_path: Path, scheduler: Scheduler) -> Registry:
        add_model(tmp_path, plain_card())
        made = make_registry(tmp_path, scheduler)
        made.load_all()
        return made

    def test_a_handle_keeps_its_version_while_the_next_one_serves(
        self, registry: Registry, scheduler: Scheduler
    ) -> None:
        (entry,) = registry.versions
        with registry.acquire("trigger") as old:
            registry.load(entry)
            with registry.acquire("trigger") as new:
                assert new is not old
            assert len(queues(scheduler)) == 4
            assert queues(scheduler)[0] is old.queues[8]
        assert {id(queue) for queue in queues(scheduler)} == {id(queue) for queue in new.queues.values()}

    def test_a_model_that_reloads_is_ready_meanwhile(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[bool] = []

        def load(path: Path, card: ModelCard) -> LoadedModel:
            seen.append(registry.ready)
            return BeepModel()

        monkeypatch.setattr(registry._loader, "_load", load)
        registry.load(registry.versions[0])
        assert seen == [True]

    def test_a_broken_reload_leaves_the_old_one_serving(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (entry,) = registry.versions
        before = entry.model

        def broken(path: Path, card: ModelCard) -> LoadedModel:
            raise ValueError("half a file")

        monkeypatch.setattr(registry._loader, "_load", broken)
        registry.load(entry)
        assert entry.model is before
        assert entry.state is State.READY
        assert entry.reason == "ValueError: half a file"

    def test_unload_lets_go_after_the_last_handle(self, registry: Registry, scheduler: Scheduler) -> None:
        (entry,) = registry.versions
        with registry.acquire("trigger"):
            registry.unload(entry)
            assert len(queues(scheduler)) == 2
        assert queues(scheduler) == []
        registry.unload(entry)
        assert entry.state is State.UNLOADED
        with pytest.raises(NotReady, match="unloaded") as refused, registry.acquire("trigger"):
            pass
        assert refused.value.retry_after is None, "nobody said that it comes back"

    def test_a_swap_under_load_loses_no_answer(self, registry: Registry, scheduler: Scheduler) -> None:
        (entry,) = registry.versions
        stop = threading.Event()
        answers: list[int] = []

        def ask() -> None:
            item = {"features": np.zeros((8, 40), np.float32), "state": np.zeros(1, np.float32)}
            while not stop.is_set():
                with registry.acquire("trigger") as model:
                    (future,) = scheduler.submit(model.queues[8], [item], 1e12)
                    answers.append(len(future.result(5)["scores"]))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            registry.load(entry)
        stop.set()
        for thread in threads:
            thread.join()
        assert answers
        assert set(answers) == {8}
        assert len(queues(scheduler)) == 2


class TestFind:
    @pytest.fixture
    def registry(self, scheduler: Scheduler) -> Registry:
        cards = [plain_card("own"), plain_card("own", "2"), plain_card("own", "10"), plain_card("bundled")]
        network = BeepModel()
        entries = [ModelVersion(card, Path()) for card in cards]
        return Registry(entries, lambda path, card: network, scheduler, Metrics())

    def test_the_default_is_the_first_name_and_its_latest_version(self, registry: Registry) -> None:
        assert registry.find("trigger").card.version == "10"

    def test_a_ready_version_precedes_a_later_one_that_is_not(self, registry: Registry) -> None:
        registry.load(registry.versions[1])
        assert registry.find("trigger").card.version == "2"

    def test_a_version_can_be_pinned(self, registry: Registry) -> None:
        assert registry.find("trigger", "own", "1").card.version == "1"
        assert registry.find("trigger", "bundled").card.name == "bundled"

    @pytest.mark.parametrize(
        ("task", "name", "version"), [("trigger", "nix", None), ("trigger", "own", "3"), ("digits", None, None)]
    )
    def test_unknown_versions_are_reported(
        self, registry: Registry, task: str, name: str | None, version: str | None
    ) -> None:
        with pytest.raises(UnknownModel, match=r"available: (bundled 1, own 1, own 2, own 10|none)$"):
            registry.find(task, name, version)

    def test_a_label_means_a_version_and_stable_is_the_default(self, registry: Registry) -> None:
        first, second, *_ = registry.versions
        first.labels, second.labels = frozenset({"stable"}), frozenset({"canary"})
        assert registry.find("trigger").card.version == "1"
        assert registry.find("trigger", "own", "canary").card.version == "2"
        assert registry.find("trigger", "own", "latest").card.version == "10"

    def test_without_a_task_the_name_decides(self, registry: Registry) -> None:
        assert registry.find(None, "bundled").card.name == "bundled"
        with pytest.raises(UnknownModel, match="no such model or version"):
            registry.find(None, "nix")


class TestSync:
    @pytest.fixture
    def registry(self, tmp_path: Path, scheduler: Scheduler) -> Registry:
        add_model(tmp_path, plain_card())
        made = make_registry(tmp_path, scheduler)
        made.load_all()
        return made

    def test_a_new_version_is_loaded_and_serves(self, registry: Registry, tmp_path: Path) -> None:
        add_model(tmp_path, plain_card(version="2"))
        registry.sync(discover(tmp_path))
        with registry.acquire("trigger") as model:
            assert model.card.version == "2"
        with registry.acquire("trigger", "beep", "1") as model:
            assert model.card.version == "1"

    def test_unchanged_versions_are_not_reloaded(self, registry: Registry, tmp_path: Path) -> None:
        before = registry.versions[0].model
        registry.sync(discover(tmp_path))
        assert registry.versions[0].model is before

    def test_changed_weights_are_loaded_anew(self, registry: Registry, tmp_path: Path) -> None:
        before = registry.versions[0].model
        (registry.versions[0].path / WEIGHTS_FILE).write_bytes(b"other weights")
        registry.sync(discover(tmp_path))
        assert registry.versions[0].model is not before

    def test_deleted_versions_are_unloaded(self, registry: Registry, scheduler: Scheduler, tmp_path: Path) -> None:
        add_model(tmp_path, plain_card("alarm"))
        registry.sync(discover(tmp_path))
        registry.sync(discover(tmp_path / "trigger" / "alarm"))
        assert [entry.card.name for entry in registry.versions] == ["alarm"]
        assert len(queues(scheduler)) == 2
        assert registry.ready

    def test_released_models_are_garbage_collected(self, registry: Registry) -> None:
        memory.gc_freeze()
        with registry.acquire("trigger"):
            registry.unload(registry.versions[0])
            assert gc.get_freeze_count()
        assert not gc.get_freeze_count()

    def test_a_broken_new_model_does_not_affect_the_others(
        self, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(path: Path, card: ModelCard) -> LoadedModel:
            raise ValueError(f"{path}/model.keras is half a file")

        monkeypatch.setattr(registry._loader, "_load", broken)
        add_model(tmp_path, plain_card(version="2"))
        add_model(tmp_path, plain_card("alarm"))
        registry.sync(discover(tmp_path))
        assert registry.ready
        assert registry.find("trigger", "alarm").state is State.FAILED
        newer = registry.find("trigger", "beep", "2")
        assert newer.reason == "ValueError: trigger/beep/2/model.keras is half a file"
        with registry.acquire("trigger", "beep") as model:
            assert model.card.version == "1"


class TestBudget:
    def test_a_model_over_the_budget_is_refused_by_name(self, tmp_path: Path, scheduler: Scheduler) -> None:
        for name, parameters in (("alarm", 2**18), ("beep", 2**18), ("chime", 1)):
            add_model(tmp_path, plain_card(name, parameters=parameters))
        network = BeepModel()
        budget = 3 * 2**19  # 1.5 MiB; the first two take 1 MiB each
        registry = Registry(discover(tmp_path), lambda path, card: network, scheduler, Metrics(), budget=budget)
        registry.load_all()
        states = [registry.find("trigger", name).state for name in ("alarm", "beep", "chime")]
        assert states == [State.READY, State.FAILED, State.READY]
        reason = "ValueError: trigger/beep/1 needs 1.0 MiB, but only 0.5 MiB of the memory budget are left"
        assert registry.find("trigger", "beep").reason == reason

    def test_a_bare_file_has_a_size_too(self, tmp_path: Path) -> None:
        path = tmp_path / "tr_model.h5"
        path.write_bytes(bytes(100))
        assert ModelVersion(plain_card(), path).size == 100


def test_the_card_of_a_trigger_model_needs_a_decision() -> None:
    card = plain_card().model_dump()
    for name in ("front_end", "decision", "frame_ms"):
        with pytest.raises(ValidationError, match="needs decision, frame_ms, and front_end or backbone"):
            ModelCard.model_validate({**card, name: None})


class TestBackbone:
    def test_a_head_without_its_backbone_fails_to_load(self, scheduler: Scheduler) -> None:
        registry = Registry(
            [ModelVersion(trigger_card(), Path())], lambda path, card: BeepModel(), scheduler, Metrics()
        )
        registry.load_all()
        assert not registry.ready
        reason = f"no such backbone: {BACKBONE}; available: none"
        with pytest.raises(NotReady, match=reason), registry.acquire("trigger"):
            pass

    def test_it_is_ready_when_both_are(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, trigger_card())
        registry = make_registry(tmp_path, scheduler)
        registry.load_all()
        assert registry.ready
        registry.find("embedding").state, registry.find("embedding").model = State.FAILED, None
        assert not registry.ready

    def test_a_head_is_loaded_with_its_backbone_once(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, trigger_card())
        registry = make_registry(tmp_path, scheduler)
        registry.load_with_backbone(registry.find("trigger"))
        backbone = registry.find("embedding").model
        assert backbone is not None
        registry.load_with_backbone(registry.find("trigger"))
        assert registry.find("embedding").model is backbone

    def test_a_model_without_a_backbone_is_loaded_alone(self, tmp_path: Path, scheduler: Scheduler) -> None:
        add_model(tmp_path, trigger_card())
        registry = make_registry(tmp_path, scheduler)
        registry.load_with_backbone(registry.find("embedding"))
        assert registry.find("embedding").model is not None
        assert registry.find("trigger").model is None

    def test_a_heads_shortest_length_is_that_of_one_score(self) -> None:
        with pytest.raises(ValidationError, match="its context plus one"):
            ModelCard.model_validate({**trigger_card().model_dump(), "sequence_lengths": (4, 10)})
