"""Models on disk: found at a path, and found again when the path changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from trigger_api.cards import CARD_FILE, read_card
from trigger_api.registry import Entry, Registry
from trigger_api.runtimes import hub

LABELS_FILE = "labels.json"
_Labels = TypeAdapter(dict[str, str])
_log = structlog.get_logger(__name__)


def discover(root: Path) -> list[Entry]:
    """The models at a path: a tree of model folders, one of them, or a bare weights file of the exercise.

    Folders of KerasHub's object detectors count too; one with a card of its own is served by that.

    Beside a model's versions a ``labels.json`` may name some of them: ``{"stable": "1", "canary": "2"}``.

    Raises:
        ValueError: nothing there can be served; the message says why.
    """
    if root.is_file():
        return [_bare(root)]
    kinds = (CARD_FILE, hub.TASK_FILE)
    folders = sorted({file.parent for kind in kinds for file in root.rglob(kind)}) if root.is_dir() else []
    if not folders:
        raise ValueError(f"no model in {root}: neither a weights file nor a folder with a {CARD_FILE}")
    return [_entry(folder) for folder in folders]


class Watcher:
    """Looks at the models on disk again and again, and has the registry follow.

    It asks the file system rather than waiting to be told: mounted and networked folders tell nobody.
    """

    def __init__(self, registry: Registry, find: Callable[[], list[Entry]], seconds: float) -> None:
        self._registry = registry
        self._find = find
        self._seconds = seconds
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until closed."""
        while not self._stop.wait(self._seconds):
            self.look()

    def look(self) -> None:
        """Look once. A folder that is half written is left for the next time."""
        try:
            self._registry.sync(self._find())
        except (OSError, ValueError) as error:
            _log.warning("models folder not read", reason=str(error))

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()


def _entry(folder: Path) -> Entry:
    try:
        card = read_card(folder) if (folder / CARD_FILE).exists() else hub.card(folder)
        labels = _labels(folder.parent / LABELS_FILE)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is not a model folder: {error}") from error
    named = frozenset(label for label, version in labels.items() if version == card.version)
    return Entry(card, folder, labels=named, stamp=_stamp(folder))


def _labels(path: Path) -> Mapping[str, str]:
    return _Labels.validate_json(path.read_bytes()) if path.exists() else {}


def _bare(path: Path) -> Entry:
    from trigger_api.runtimes import exercise  # h5py is needed for such a file alone

    return Entry(exercise.card(path), path, stamp=_stamp(path))


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a model's files do."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
