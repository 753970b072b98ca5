"""Models on disk: found at a path, and found again when the path changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from trigger_api.model_card import CARD_FILE, read_card
from trigger_api.registry import ModelVersion, Registry
from trigger_api.runtimes import keras_hub, openwakeword

LABELS_FILE = "labels.json"
_Labels = TypeAdapter(dict[str, str])
_log = structlog.get_logger(__name__)


def discover(root: Path) -> list[ModelVersion]:
    """The models at a path: a tree of model folders, one of them, or a bare file.

    A bare file is the exercise's weights, or a wake word of openWakeWord's; such wake words are found in a tree too.
    Folders of KerasHub's object detectors count as model folders; one with a card of its own is served by that.

    Beside a model's versions a ``labels.json`` may name some of them: ``{"stable": "1", "canary": "2"}``.

    Raises:
        ValueError: nothing there can be served; the message says why.
    """
    if root.is_file():
        return [_bare(root)]
    folders = sorted({file.parent for file in _files(root, CARD_FILE, keras_hub.TASK_FILE)})
    found = [*map(_model_version, folders), *_wake_words(root, set(folders))]
    if not found:
        raise ValueError(f"no model in {root}: neither a file that can be served nor a folder with a {CARD_FILE}")
    return found


def discover_all(roots: Iterable[Path]) -> list[ModelVersion]:
    """The models at several paths, in their order; see ``discover``. What two paths both name counts once.

    Raises:
        ValueError: there is a path without a model, or two models that go by one name and version.
    """
    known: dict[tuple[str, str, str], ModelVersion] = {}
    for entry in (entry for root in roots for entry in discover(root)):
        first = known.setdefault(entry.key, entry)
        if first.path.resolve() != entry.path.resolve():
            named = "/".join(entry.key)
            raise ValueError(f"{first.path} and {entry.path} are both {named}: rename one, or give it another version")
    return list(known.values())


class Watcher:
    """Looks at the models on disk again and again, and has the registry follow.

    It asks the file system rather than waiting to be told: mounted and networked folders tell nobody.
    """

    def __init__(self, registry: Registry, find: Callable[[], list[ModelVersion]], seconds: float) -> None:
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


def _model_version(folder: Path) -> ModelVersion:
    try:
        card = read_card(folder) if (folder / CARD_FILE).exists() else keras_hub.card(folder)
        labels = _labels(folder.parent / LABELS_FILE)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is not a model folder: {error}") from error
    named = frozenset(label for label, version in labels.items() if version == card.version)
    return ModelVersion(card, folder, labels=named, fingerprint=_fingerprint(folder))


def _wake_words(root: Path, folders: AbstractSet[Path]) -> Iterator[ModelVersion]:
    """OpenWakeWord's files in a tree, beside its model folders. What only has the name of one is left out.

    The community keeps a word as ``.onnx`` and as ``.tflite``: the first that can be served here stands for both.
    """
    taken: set[Path] = set()
    for path in _files(root, *(f"*{suffix}" for suffix in openwakeword.SUFFIXES)):
        if path.with_suffix("") in taken or not folders.isdisjoint(path.parents):
            continue
        try:
            yield _bare(path)
            taken.add(path.with_suffix(""))
        except (OSError, ValueError) as error:
            _left_out(path, str(error))


@lru_cache(maxsize=1_024)
def _left_out(path: Path, reason: str) -> None:
    """Say once, however often the folder is looked at, that a file is not served."""
    _log.warning("left out of the models folder", file=str(path), reason=reason)


def _files(root: Path, *patterns: str) -> list[Path]:
    """Files in a tree, in order; hidden ones are left out: a Kubernetes volume keeps its files there a second time."""
    found = {path for pattern in patterns for path in root.rglob(pattern)}
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))


def _labels(path: Path) -> Mapping[str, str]:
    return _Labels.validate_json(path.read_bytes()) if path.exists() else {}


def _bare(path: Path) -> ModelVersion:
    if openwakeword.is_named(path):
        return ModelVersion(openwakeword.card(path), path, fingerprint=_fingerprint(path))
    from trigger_api.runtimes import coursera  # h5py is needed for such a file alone

    return ModelVersion(coursera.card(path), path, fingerprint=_fingerprint(path))


def _fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a model's files do."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
