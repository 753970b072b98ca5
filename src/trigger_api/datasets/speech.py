"""Recordings from disk: read at 16 kHz, and searched for speech."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening

RATE = 16_000
SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus"})

Samples = NDArray[np.float32]

_HOP = RATE // 100
_SILENT_DBFS = -70.0
_BELOW_PEAK_DB = 32.0
_ABOVE_NOISE_DB = 9.0
_PAUSE_FRAMES = 20  # a closure inside a word is shorter than 200 ms
_SHORTEST_FRAMES = 8
_CLICK_FRAMES = 2


@dataclass(frozen=True)
class Spoken:
    """A recording of a word, which ends after the first `end` samples."""

    samples: Samples
    end: int


def read(path: Path) -> Samples:
    """Samples of any file that libsndfile knows, mixed to mono, at 16 kHz.

    Raises:
        RuntimeError: it is not audio (soundfile's LibsndfileError is one), or contains values that are not finite.
    """
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise RuntimeError(f"{path} contains infinite values or NaN")
    return np.asarray(mono if rate == RATE else soxr.resample(mono, rate, RATE), np.float32)


def readable(path: Path) -> Samples | None:
    """As `read`; None where the file cannot be read."""
    try:
        return read(path)
    except (OSError, RuntimeError):
        return None


def seconds(path: Path) -> float:
    """The duration that a file claims; 0 if it is not audio."""
    import soundfile

    try:
        return float(soundfile.info(path).duration)
    except RuntimeError:
        return 0.0


def keep(path: Path, array: NDArray[Any]) -> None:
    """Write an array atomically: the file is complete or absent, even if the run is killed."""
    with NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        np.save(part, array)
    Path(part.name).replace(path)


def audio_files(folders: Iterable[Path]) -> list[Path]:
    """Every audio file in or below the folders (or the files themselves), in a stable order."""
    found: list[Path] = []
    for folder in folders:
        inside = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        found += [path for path in inside if path.suffix.lower() in SUFFIXES]
    return found


def peak_dbfs(samples: Samples) -> float:
    """The level of the loudest sample."""
    return 20 * float(np.log10(np.abs(samples).max(initial=0.0) + 1e-9))


def speech_span(samples: Samples) -> tuple[int, int] | None:
    """The start and end of the loudest stretch of speech, in samples; None if nothing stands out from the noise.

    Frames count as speech when they are within 32 dB of the loudest and 9 dB above the noise; stretches closer than
    200 ms count as one, so that closures do not split a word. High frequencies weigh more than low ones: a
    final "t" or "s" belongs to the word, hum does not.
    """
    energies = _frame_db(samples)
    if len(energies) < _SHORTEST_FRAMES or not peak_dbfs(samples) > _SILENT_DBFS:  # NaN is not
        return None
    active = np.flatnonzero(_lasting(energies > _threshold_db(energies)))
    stretches = np.split(active, np.flatnonzero(np.diff(active) > _PAUSE_FRAMES) + 1)
    best = max(stretches, key=lambda stretch: float((energies[stretch] - energies.min()).sum()))
    if len(best) < _SHORTEST_FRAMES:
        return None
    return int(best[0]) * _HOP, min(len(samples), int(best[-1] + 1) * _HOP)


def _threshold_db(energies: NDArray[np.float64]) -> float:
    loudest = float(energies.max())
    noise = min(float(np.percentile(energies, 15)), loudest - _BELOW_PEAK_DB + _ABOVE_NOISE_DB)
    return max(loudest - _BELOW_PEAK_DB, noise + _ABOVE_NOISE_DB)


def _lasting(active: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Only what stays active for 20 ms: clicks do not."""
    return np.asarray(binary_opening(active, np.ones(_CLICK_FRAMES, np.bool_)))


def _frame_db(samples: Samples) -> NDArray[np.float64]:
    """Energy of each 10 ms, in dB, after pre-emphasis."""
    emphasised = np.diff(samples, prepend=samples[:1]).astype(np.float64)
    frames = emphasised[: len(emphasised) // _HOP * _HOP].reshape(-1, _HOP)
    return np.asarray(10 * np.log10((frames**2).mean(axis=1) + 1e-12))
