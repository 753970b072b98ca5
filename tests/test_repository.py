from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from helpers import wake_words
from helpers.beep import BeepModel, add_model, plain_card
from trigger_api.model_card import CARD_FILE
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Registry, State
from trigger_api.repository import LABELS_FILE, Watcher, discover, discover_all
from trigger_api.scheduler import Scheduler


class TestDiscover:
    def test_finds_every_version_in_a_tree(self, tmp_path: Path) -> None:
        for version in ("1", "2", "10"):
            add_model(tmp_path, plain_card(version=version))
        add_model(tmp_path, plain_card("alarm"))
        assert {(entry.card.name, entry.card.version) for entry in discover(tmp_path)} == {
            ("alarm", "1"),
            ("beep", "1"),
            ("beep", "2"),
            ("beep", "10"),
        }

    def test_takes_a_single_model_folder(self, tmp_path: Path) -> None:
        folder = add_model(tmp_path, plain_card())
        (entry,) = discover(folder)
        assert entry.path == folder
        assert entry.state is State.FOUND

    def test_says_what_is_wrong(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no model in"):
            discover(tmp_path / "absent")
        with pytest.raises(ValueError, match="no model in"):
            discover(tmp_path)
        folder = add_model(tmp_path, plain_card())
        (folder / CARD_FILE).write_text('{"task": "trigger"}')
        with pytest.raises(ValueError, match="is not a model folder"):
            discover(tmp_path)

    def test_a_file_that_is_no_exercise_network_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.h5").write_text("not weights")
        with pytest.raises(ValueError, match=r"notes\.h5 is not a weights file"):
            discover(tmp_path / "notes.h5")

    def test_labels_name_versions(self, tmp_path: Path) -> None:
        for version in ("1", "2"):
            folder = add_model(tmp_path, plain_card(version=version))
        (folder.parent / LABELS_FILE).write_text(json.dumps({"stable": "1", "canary": "2", "old": "0"}))
        assert {entry.card.version: entry.labels for entry in discover(tmp_path)} == {"1": {"stable"}, "2": {"canary"}}

    def test_invalid_labels_are_reported(self, tmp_path: Path) -> None:
        folder = add_model(tmp_path, plain_card())
        (folder.parent / LABELS_FILE).write_text("[1]")
        with pytest.raises(ValueError, match="is not a model folder"):
            discover(tmp_path)


class TestWakeWords:
    """Files of openWakeWord's, by themselves and in folders."""

    def test_a_file_is_a_model(self, tmp_path: Path) -> None:
        path = wake_words.write(tmp_path / "alexa_v0.1.onnx")
        (entry,) = discover(path)
        assert (entry.key, entry.path) == (("trigger", "alexa", "1"), path)
        assert entry.size >= path.stat().st_size - 2_000
        (tmp_path / "notes.onnx").write_text("only some words")
        with pytest.raises(ValueError, match=r"notes\.onnx is not a wake word"):
            discover(tmp_path / "notes.onnx")

    def test_a_folder_of_them_beside_model_folders(self, tmp_path: Path) -> None:
        folder = add_model(tmp_path, plain_card())
        for place in (folder / "model.onnx", tmp_path / ".hidden.onnx", tmp_path / "en/hey_jarvis.onnx"):
            place.parent.mkdir(exist_ok=True)
            wake_words.write(place)
        for version in ("0.1", "0.2"):
            wake_words.write(tmp_path / f"alexa_v{version}.onnx")
        found = [entry.key[1:] for entry in discover(tmp_path)]
        assert found == [(plain_card().name, "1"), ("alexa", "1"), ("alexa", "2"), ("hey_jarvis", "1")]

    def test_files_that_are_no_wake_words_are_left_out_and_logged_once(self, tmp_path: Path) -> None:
        wake_words.write(tmp_path / "alexa.onnx")
        (tmp_path / "embedding_model.onnx").write_bytes(b"another network")
        with capture_logs() as logs:
            assert [discover(tmp_path)[0].card.name for _ in range(2)] == ["alexa", "alexa"]
        (log,) = logs
        assert "embedding_model.onnx is not a wake word" in log["reason"]
        (tmp_path / "alexa.onnx").unlink()
        with pytest.raises(ValueError, match="no model in"):
            discover(tmp_path)

    def test_of_one_word_in_both_formats_the_first_that_can_be_served_is_taken(self, tmp_path: Path) -> None:
        wake_words.write(tmp_path / "alexa.onnx")
        (tmp_path / "alexa.tflite").write_bytes(b"not looked at")
        assert [entry.path.name for entry in discover(tmp_path)] == ["alexa.onnx"]


class TestDiscoverAll:
    def test_several_paths_in_their_order(self, tmp_path: Path) -> None:
        add_model(tmp_path / "own", plain_card())
        paths = [wake_words.write(tmp_path / f"{name}.onnx") for name in ("jarvis", "alexa")]
        found = discover_all([*paths, tmp_path / "own"])
        assert [entry.card.name for entry in found] == ["jarvis", "alexa", plain_card().name]
        assert discover_all([]) == []

    def test_a_model_on_two_paths_counts_once(self, tmp_path: Path) -> None:
        path = wake_words.write(tmp_path / "jarvis.onnx")
        assert len(discover_all([path, tmp_path, tmp_path / "." / "jarvis.onnx"])) == 1

    def test_one_model_does_not_hide_another(self, tmp_path: Path) -> None:
        for folder in ("mine", "theirs"):
            (tmp_path / folder).mkdir()
            wake_words.write(tmp_path / folder / "jarvis.onnx")
        with pytest.raises(ValueError, match=r"mine/jarvis\.onnx and .*jarvis\.onnx are both trigger/jarvis/1: change"):
            discover_all([tmp_path])
        with pytest.raises(ValueError, match="are both trigger/jarvis/1"):
            discover_all([tmp_path / "theirs", tmp_path / "mine"])


class TestWatcher:
    @pytest.fixture
    def registry(self, tmp_path: Path) -> Registry:
        add_model(tmp_path, plain_card())
        network = BeepModel()
        scheduler = Scheduler(threads=1)
        made = Registry(discover(tmp_path), lambda path, card: network, scheduler, Metrics())
        made.load_all()
        return made

    def test_it_follows_the_folder_until_closed(self, registry: Registry, tmp_path: Path) -> None:
        watcher = Watcher(registry, lambda: discover(tmp_path), seconds=0.01)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        add_model(tmp_path, plain_card(version="2"))
        give_up = time.monotonic() + 5
        while len(registry.versions) < 2 or registry.versions[1].state is not State.READY:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        watcher.close()
        thread.join(5)
        assert not thread.is_alive()

    def test_a_folder_that_is_half_written_is_left_for_later(self, registry: Registry, tmp_path: Path) -> None:
        folder = add_model(tmp_path, plain_card(version="2"))
        card = (folder / CARD_FILE).read_text()
        (folder / CARD_FILE).write_text(card[:50])
        watcher = Watcher(registry, lambda: discover(tmp_path), seconds=1)
        with capture_logs() as logs:
            watcher.scan()
        assert logs[0]["event"] == "models folder could not be read"
        assert len(registry.versions) == 1
        (folder / CARD_FILE).write_text(card)
        watcher.scan()
        assert len(registry.versions) == 2
