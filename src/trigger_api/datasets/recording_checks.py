"""Whether a recording of a word is usable: loud enough, not clipped, with speech about as long as a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trigger_api.datasets.speech import RATE, Samples, audio_files, peak_dbfs, readable, speech_span

_QUIET_DBFS = -45.0
_FULL_SCALE = 0.999
_CLIPPED = 0.002  # of the samples: a few at full scale are a loud syllable, more mean clipping
_SHORTEST_S, LONGEST_S = 0.15, 2.5  # of a word
_FEW, _MANY = 10, 30


@dataclass(frozen=True)
class Check:
    """The result for one recording.

    Attributes:
        faults: what is wrong with it, in words.
        usable: whether it can be trained on nevertheless.
        seconds: duration of the speech; 0 if there is none.
        peak_dbfs: level of the loudest sample.
    """

    faults: tuple[str, ...]
    usable: bool
    seconds: float = 0.0
    peak_dbfs: float = float("-inf")


def check(samples: Samples) -> Check:
    """Check 16 kHz mono samples that should contain the word once."""
    peak, span = peak_dbfs(samples), speech_span(samples)
    if span is None:
        return Check(("no speech",), usable=False)
    seconds = (span[1] - span[0]) / RATE
    return Check(tuple(_faults(samples, seconds, peak)), usable=True, seconds=seconds, peak_dbfs=peak)


def _faults(samples: Samples, seconds: float, peak: float) -> Iterator[str]:
    if peak < _QUIET_DBFS:
        yield f"very quiet ({peak:.0f} dBFS)"
    if (np.abs(samples) >= _FULL_SCALE).mean() > _CLIPPED:
        yield "clipped: too loud for the microphone"
    if seconds < _SHORTEST_S:
        yield f"only {seconds:.2f} s of speech: is the word complete?"
    if seconds > LONGEST_S:
        yield f"{seconds:.1f} s of speech: is it nothing but the word?"


def check_file(path: Path) -> Check:
    """Check a file; one that is not audio is not usable."""
    samples = readable(path)
    return Check(("not audio that can be read",), usable=False) if samples is None else check(samples)


def advice(folder: Path) -> list[str]:
    """Advice on a folder of recordings before training on them, one line each."""
    checks = {path: check_file(path) for path in audio_files([folder])}
    usable = sum(one.usable for one in checks.values())
    faults = [
        f"{path.name}: {fault}" + ("" if one.usable else "; left out")
        for path, one in checks.items()
        for fault in one.faults
    ]
    return [*faults, f"{usable} of {len(checks)} recordings are usable{_more(usable)}"]


def _more(usable: int) -> str:
    if usable < _FEW:
        return f"; {_FEW}, by different people, would help a lot"
    return f"; {_MANY}, by different people, would help more" if usable < _MANY else ""
