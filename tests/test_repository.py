from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from conftest import BeepNetwork, add_model, trigger_card
from trigger_api.cards import CARD_FILE
from trigger_api.inference import Scheduler
from trigger_api.metrics import Metrics
from trigger_api.registry import Registry, State
from trigger_api.repository import LABELS_FILE, Watcher, discover


class TestDiscover:
    def test_finds_every_version_in_a_tree(self, tmp_path: Path) -> None:
        for version in ("1", "2", "10"):
            add_model(tmp_path, trigger_card(version=version))
        add_model(tmp_path, trigger_card("alarm"))
        assert {(entry.card.name, entry.card.version) for entry in discover(tmp_path)} == {
            ("alarm", "1"),
            ("beep", "1"),
            ("beep", "2"),
            ("beep", "10"),
        }

    def test_takes_a_single_model_folder(self, tmp_path: Path) -> None:
        folder = add_model(tmp_path, trigger_card())
        (entry,) = discover(folder)
        assert entry.path == folder
        assert entry.state is State.FOUND

    def test_says_what_is_wrong(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no model in"):
            discover(tmp_path / "absent")
        with pytest.raises(ValueError, match="no model in"):
            discover(tmp_path)
        folder = add_model(tmp_path, trigger_card())
        (folder / CARD_FILE).write_text('{"task": "trigger"}')
        with pytest.raises(ValueError, match="is not a model folder"):
            discover(tmp_path)

    def test_a_file_that_is_no_exercise_network_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.h5").write_text("not weights")
        with pytest.raises(ValueError, match=r"notes\.h5 is not a weights file"):
            discover(tmp_path / "notes.h5")

    def test_labels_name_versions(self, tmp_path: Path) -> None:
        for version in ("1", "2"):
            folder = add_model(tmp_path, trigger_card(version=version))
        (folder.parent / LABELS_FILE).write_text(json.dumps({"stable": "1", "canary": "2", "old": "0"}))
        assert {entry.card.version: entry.labels for entry in discover(tmp_path)} == {"1": {"stable"}, "2": {"canary"}}

    def test_labels_that_are_none_are_told_so(self, tmp_path: Path) -> None:
        folder = add_model(tmp_path, trigger_card())
        (folder.parent / LABELS_FILE).write_text("[1]")
        with pytest.raises(ValueError, match="is not a model folder"):
            discover(tmp_path)


class TestWatcher:
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Registry:
        add_model(tmp_path, trigger_card())
        network = BeepNetwork()
        scheduler = Scheduler(threads=1)
        made = Registry(discover(tmp_path), lambda path, card: network, scheduler, Metrics())
        made.load_all()
        return made

    def test_it_follows_the_folder_until_closed(self, registry: Registry, tmp_path: Path) -> None:
        watcher = Watcher(registry, lambda: discover(tmp_path), seconds=0.01)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        add_model(tmp_path, trigger_card(version="2"))
        give_up = time.monotonic() + 5
        while len(registry.entries) < 2 or registry.entries[1].state is not State.READY:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        watcher.close()
        thread.join(5)
        assert not thread.is_alive()

    def test_a_folder_that_is_half_written_is_left_for_later(self, registry: Registry, tmp_path: Path) -> None:
        folder = add_model(tmp_path, trigger_card(version="2"))
        card = (folder / CARD_FILE).read_text()
        (folder / CARD_FILE).write_text(card[:50])
        watcher = Watcher(registry, lambda: discover(tmp_path), seconds=1)
        with capture_logs() as logs:
            watcher.look()
        assert logs[0]["event"] == "models folder not read"
        assert len(registry.entries) == 1
        (folder / CARD_FILE).write_text(card)
        watcher.look()
        assert len(registry.entries) == 2
