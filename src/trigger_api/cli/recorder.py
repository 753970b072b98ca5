"""Collecting recordings of a word from a microphone, each looked at before it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import soundfile

from trigger_api.cli.audio_source import Audio
from trigger_api.datasets.recording_checks import Check, check
from trigger_api.datasets.speech import RATE, Samples

CLIP_SECONDS = 2.5
_MAX_ATTEMPTS = 3  # of one recording; then the fault is the microphone's


class RecorderError(ValueError):
    """Nothing of use can be recorded."""


def record(word: str, out: Path, wanted: int, open_microphone: Callable[[], Audio], say: Callable[[str], None]) -> None:
    """Write so many recordings of a word, ``WORD-NNN.wav``, beside those that are in `out`.

    Args:
        word: what to say.
        out: folder; made if it is not there.
        wanted: how many.
        listen: opens the microphone: 16-bit little-endian mono at 16 kHz.
        say: tells the person in front of it what to do.

    Raises:
        RecorderError: one recording was of no use several times in a row.
    """
    out.mkdir(parents=True, exist_ok=True)
    for done in range(wanted):
        say(f"say {word!r} ({done + 1} of {wanted})")
        soundfile.write(_free_path(out, word), _record_until_good(open_microphone, say), RATE, subtype="PCM_16")


def _record_until_good(open_microphone: Callable[[], Audio], say: Callable[[str], None]) -> Samples:
    for _ in range(_MAX_ATTEMPTS):
        samples = asyncio.run(record_clip(open_microphone()))
        found = check(samples)
        say(_verdict(found))
        if not found.faults:
            return samples
    raise RecorderError(f"{_MAX_ATTEMPTS} takes in a row were of no use: is it the right microphone, at a good level?")


async def record_clip(audio: Audio, seconds: float = CLIP_SECONDS) -> Samples:
    """The next so many seconds."""
    pcm, size = bytearray(), round(seconds * RATE) * 2
    async for chunk in audio:
        pcm += chunk
        if len(pcm) >= size:
            break
    return np.asarray(np.frombuffer(bytes(pcm[:size]), "<i2") / 32_768, np.float32)


def _verdict(found: Check) -> str:
    if found.faults:
        return f"once more: {'; '.join(found.faults)}"
    return f"good: {found.seconds:.1f} s at {found.peak_dbfs:.0f} dBFS"


def _free_path(out: Path, word: str) -> Path:
    """The first name that is not taken."""
    paths = (out / f"{word.replace(' ', '-')}-{number:03}.wav" for number in count(1))
    return next(path for path in paths if not path.exists())
