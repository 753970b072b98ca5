"""Models on disk: found at a path, and watched for changes."""

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

    A bare file is a model of the Coursera exercise or a wake word of openWakeWord; the latter are also found in a tree.
    Folders of KerasHub's object detectors are model folders too, and need no card of ours.

    A ``labels.json`` beside a model's versions may label some of them: ``{"stable": "1", "canary": "2"}``.

    Raises:
        ValueError: there is nothing to serve; the message says why.
    """
    if root.is_file():
        return [_bare(root)]
    folders = sorted({file.parent for file in _files(root, CARD_FILE, keras_hub.TASK_FILE)})
    found = [*map(_model_version, folders), *_wake_words(root, set(folders))]
    if not found:
        raise ValueError(f"no model in {root}: neither a model file nor a folder with a {CARD_FILE}")
    return found


def discover_all(roots: Iterable[Path]) -> list[ModelVersion]:
    """The models at several paths, in this order; see ``discover``. A model that two paths lead to counts once.

    Raises:
        ValueError: a path has no model, or two models have the same name and version.
    """
    known: dict[tuple[str, str, str], ModelVersion] = {}
    for entry in (entry for root in roots for entry in discover(root)):
        first = known.setdefault(entry.key, entry)
        if first.path.resolve() != entry.path.resolve():
            key = "/".join(entry.key)
            raise ValueError(f"{first.path} and {entry.path} are both {key}: change the name or version of one")
    return list(known.values())


class Watcher:
    """Scans the models on disk at an interval, and updates the registry.

    It polls, because mounted and network file systems send no notifications.
    """

    def __init__(self, registry: Registry, find: Callable[[], list[ModelVersion]], seconds: float) -> None:
        self._registry = registry
        self._find = find
        self._seconds = seconds
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until closed."""
        while not self._stop.wait(self._seconds):
            self.scan()

    def scan(self) -> None:
        """Scan once. A folder that is not completely written yet is left for the next scan."""
        try:
            self._registry.sync(self._find())
        except (OSError, ValueError) as error:
            _log.warning("models folder could not be read", reason=str(error))

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
    """The files of openWakeWord in a tree, outside of model folders. Files that only have such a name are left out.

    Words are published as both ``.onnx`` and ``.tflite``: the first that can be served here is used.
    """
    found: set[Path] = set()
    for path in _files(root, *(f"*{suffix}" for suffix in openwakeword.SUFFIXES)):
        if path.with_suffix("") in found or not folders.isdisjoint(path.parents):
            continue
        try:
            yield _bare(path)
            found.add(path.with_suffix(""))
        except (OSError, ValueError) as error:
            _log_once(path, str(error))


@lru_cache(maxsize=1_024)
def _log_once(path: Path, reason: str) -> None:
    """Log that a file is not served; once, however often the folder is scanned."""
    _log.warning("not a model, left out", file=str(path), reason=reason)


def _files(root: Path, *patterns: str) -> list[Path]:
    """Files in a tree, sorted and without hidden ones: a Kubernetes volume has its files in a hidden folder, too."""
    found = {path for pattern in patterns for path in root.rglob(pattern)}
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))


def _labels(path: Path) -> Mapping[str, str]:
    return _Labels.validate_json(path.read_bytes()) if path.exists() else {}


def _bare(path: Path) -> ModelVersion:
    if openwakeword.is_named(path):
        return ModelVersion(openwakeword.card(path), path, fingerprint=_fingerprint(path))
    from trigger_api.runtimes import coursera  # needs h5py, which other models do not

    return ModelVersion(coursera.card(path), path, fingerprint=_fingerprint(path))


def _fingerprint(path: Path) -> tuple[tuple[str, int, int], ...]:
    """A value that changes when the model's files do."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
