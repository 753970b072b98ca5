"""Recording a word from a microphone; each recording is checked before it is saved."""

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
_MAX_ATTEMPTS = 3  # for one recording; after that, something is wrong with the microphone


class RecorderError(ValueError):
    """The microphone gives no usable recording."""


def record(word: str, out: Path, wanted: int, open_microphone: Callable[[], Audio], say: Callable[[str], None]) -> None:
    """Record a word several times. Files are named ``WORD-NNN.wav``, and existing ones are kept.

    Args:
        word: the word to say.
        out: folder for the recordings; created if necessary.
        wanted: number of recordings.
        open_microphone: returns audio, 16-bit little-endian mono at 16 kHz.
        say: shows instructions to the person in front of the microphone.

    Raises:
        RecorderError: several attempts in a row failed.
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
    raise RecorderError(f"{_MAX_ATTEMPTS} attempts in a row failed: is this the right microphone, at the right level?")


async def record_clip(audio: Audio, seconds: float = CLIP_SECONDS) -> Samples:
    """Record a clip of a number of seconds."""
    pcm, size = bytearray(), round(seconds * RATE) * 2
    async for chunk in audio:
        pcm += chunk
        if len(pcm) >= size:
            break
    return np.asarray(np.frombuffer(bytes(pcm[:size]), "<i2") / 32_768, np.float32)


def _verdict(found: Check) -> str:
    if found.faults:
        return f"please repeat: {'; '.join(found.faults)}"
    return f"good: {found.seconds:.1f} s at {found.peak_dbfs:.0f} dBFS"


def _free_path(out: Path, word: str) -> Path:
    """The first file name that is not in use."""
    paths = (out / f"{word.replace(' ', '-')}-{number:03}.wav" for number in count(1))
    return next(path for path in paths if not path.exists())
